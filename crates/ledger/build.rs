//! The migrations are embedded by a macro; cargo must know that they are an input.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
