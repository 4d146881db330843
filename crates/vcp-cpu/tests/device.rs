//! The suite for devices, on every instruction set that this machine has.

use std::num::NonZero;

use vcp_cpu::{Cpu, InstructionSet};
use vcp_testing::device;

/// Runs a part of the suite on each instruction set.
fn each(part: impl Fn(&str, &dyn Fn() -> Cpu)) {
    for instruction_set in InstructionSet::available() {
        let make = || {
            let cpu = Cpu::with_instruction_set(NonZero::new(2), instruction_set);
            cpu.expect("threads start")
        };
        part(instruction_set.name(), &make);
    }
}

#[test]
fn broadcasting() {
    each(|name, make| device::broadcasting(name, make));
}

#[test]
fn movements() {
    each(|name, make| device::movements(name, make));
}

#[test]
fn functions() {
    each(|name, make| device::functions(name, make));
}

#[test]
fn layers() {
    each(|name, make| device::layers(name, make));
}

#[test]
fn refusals() {
    each(|name, make| device::refusals(name, make));
}

#[test]
fn stages() {
    each(|name, make| device::stages(name, make));
}

#[test]
fn batches() {
    each(|name, make| device::batches(name, make));
}
