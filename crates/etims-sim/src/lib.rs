#![doc = include_str!("../README.md")]

mod audit;
mod auth;
mod clock;
mod codes;
mod config;
mod connection;
mod control;
mod device;
mod envelope;
mod fault_rule;
mod fault_script;
mod faulty_calls;
mod fields;
mod initialise;
mod journal;
mod kra_api;
mod kra_calls;
mod lookup;
mod records;
mod refusal;
mod routes;
mod sale;
mod seeded;
mod server;
mod stock;
mod tax;
mod tls;
mod traffic;

pub use config::{Config, Dialect};
pub use server::{RunningSimulator, start};
