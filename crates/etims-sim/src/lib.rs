#![doc = include_str!("../README.md")]

mod audit;
mod auth;
mod books;
mod clock;
mod codes;
mod config;
mod control;
mod device;
mod draw;
mod envelope;
mod faults;
mod fields;
mod initialise;
mod journal;
mod kra;
mod lookup;
mod perform;
mod process;
mod refusal;
mod routes;
mod rules;
mod sale;
mod server;
mod stock;
mod tax;
mod tls;
mod traffic;
mod wire;

pub use config::{Config, Dialect};
pub use server::{Running, start};
