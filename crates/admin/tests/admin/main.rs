//! risiti-admin as a real program, against a real Postgres and the simulated KRA.

mod devices;
mod initialise;
mod keys;
mod kit;
mod merchants;
mod providers;
mod verify;
