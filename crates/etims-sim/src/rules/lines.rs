//! The lines of a document: how many there are, and their numbers.

use crate::fields::Fields;
use crate::refusal::Refusal;

/// Most lines of a document, because `itemSeq` has three digits.
const MAX_LINES: usize = 999;

/// The lines of `itemList`, which count from 1. `totItemCnt` is how many they are.
pub(crate) fn read<'a>(fields: &Fields<'a>) -> Result<Vec<Fields<'a>>, Refusal> {
    let lines = fields.list("itemList")?;
    if fields.integer("totItemCnt")? != lines.len() as i64 {
        return Err(fields.invalid("totItemCnt", "is not the number of lines"));
    }
    if lines.len() > MAX_LINES {
        return Err(fields.invalid("itemSeq", "must fit 3 digits"));
    }
    Ok(lines)
}

/// Checks that a line has its place as `itemSeq`.
pub(crate) fn check_sequence(line: &Fields<'_>, line_number: i64) -> Result<(), Refusal> {
    if line.integer("itemSeq")? == line_number {
        Ok(())
    } else {
        Err(line.invalid("itemSeq", "must count from 1"))
    }
}
