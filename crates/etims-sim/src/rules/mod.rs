//! The rules that KRA checks beyond the form of single fields.

pub(crate) mod amounts;
pub(crate) mod credit_rules;
pub(crate) mod discount;
pub(crate) mod item_code;
pub(crate) mod lines;
pub(crate) mod movement;
pub(crate) mod purchase;
pub(crate) mod registered_item;
pub(crate) mod users;
