//! Rows of one kind that KRA keeps, with a bound.

use std::collections::BTreeMap;

use jiff::civil::DateTime;

use crate::fields::Fields;
use crate::json_object::{self, JsonObject};
use crate::reply::Reply;

/// Bound on the rows of one kind that one device or PIN has.
const MAX_ROWS: usize = 10_000;

/// Rows by their key. The same key again replaces the row.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    rows: BTreeMap<K, V>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V> Kept<K, V> {
    /// # Errors
    /// There is no room for another row. Nothing changed.
    pub(crate) fn put(&mut self, key: K, row: V) -> Result<(), Reply> {
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            return Err(Reply::Full);
        }
        self.rows.insert(key, row);
        Ok(())
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.get(key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.rows.values()
    }
}

/// What a call sent, as it was sent.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fields: JsonObject,
    pub(crate) saved_at: DateTime,
}

impl Row {
    pub(crate) fn new(fields: &Fields<'_>, saved_at: DateTime) -> Self {
        Self {
            fields: fields.to_object(),
            saved_at,
        }
    }

    /// The row as a list shows it.
    pub(crate) fn select(&self, names: &[&str]) -> String {
        json_object::select(names, &self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_table_takes_only_rows_that_it_has() {
        let mut kept = Kept::default();
        for key in 0..MAX_ROWS {
            kept.put(key, key).unwrap();
        }
        assert!(matches!(kept.put(MAX_ROWS, 0), Err(Reply::Full)));
        kept.put(7, 70).unwrap();
        assert_eq!(kept.get(&7), Some(&70));
        assert_eq!(kept.values().count(), MAX_ROWS);
    }
}
