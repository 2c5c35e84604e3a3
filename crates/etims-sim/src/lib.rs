#![doc = include_str!("../README.md")]

mod access_tokens;
mod audit;
mod auth;
mod branch;
mod calls;
mod clock;
mod codes;
mod config;
mod connection;
mod control;
mod device;
mod faults;
mod fields;
mod journal;
mod json_object;
mod kra_api;
mod kra_calls;
mod records;
mod refusal;
mod registration;
mod render;
mod reply;
mod request;
mod restore;
mod routes;
mod rules;
mod sale;
mod seeded;
mod server;
mod simulator;
mod tax;
mod tls;
mod traffic;

pub use config::{Config, Dialect, ItemNumbers, StockNumbers};
pub use server::{RunningSimulator, start};
