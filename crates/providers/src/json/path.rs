//! The path of a value within a body, which costs no allocation until an error has to name it.

use std::fmt;

/// No field that is read lies deeper, such as `Body.stkCallback.CallbackMetadata.Item.Amount`.
const DEPTH_MAX: usize = 6;

/// Names of members from the root of a body to a value. The root itself has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    names: [&'static str; DEPTH_MAX],
    depth: usize,
}

impl Path {
    pub(crate) const ROOT: Self = Self {
        names: [""; DEPTH_MAX],
        depth: 0,
    };

    /// The path of a member of the value at this path.
    pub(crate) fn member(mut self, name: &'static str) -> Self {
        debug_assert!(self.depth < DEPTH_MAX, "a field lies deeper than any known");
        if let Some(next) = self.names.get_mut(self.depth) {
            *next = name;
            self.depth += 1;
        }
        self
    }
}

/// Names joined by dots, as the provider's documents write them. The root is `body`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.names[..self.depth].split_first() else {
            return f.write_str("body");
        };
        f.write_str(first)?;
        others.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_shown_as_names_joined_by_dots() {
        assert_eq!(Path::ROOT.to_string(), "body");
        let deep = ["Body", "stkCallback", "CallbackMetadata", "Item", "Amount"]
            .into_iter()
            .fold(Path::ROOT, Path::member);
        assert_eq!(
            deep.to_string(),
            "Body.stkCallback.CallbackMetadata.Item.Amount"
        );
    }
}
