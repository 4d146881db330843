//! The suite for devices, on every instruction set that this machine has.

use std::num::NonZero;

use vcp_cpu::{Cpu, InstructionSet};

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

vcp_testing::device_suite!(each);
