//! Runs risiti-admin as a real program against a real Postgres and the simulated KRA.

mod audit;
mod audit_of_all;
mod buyers;
mod codes;
mod devices;
mod find;
mod first_number;
mod fixture;
mod initialise;
mod keys;
mod merchants;
mod providers;
mod prune;
mod status;
mod verify;
