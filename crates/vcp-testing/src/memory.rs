//! How much memory this process holds, where the system tells (Linux).

use std::fs;

/// The most memory in bytes that this process has held so far.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// The most memory in bytes that `work` held beyond what the process held before. The whole process is
/// measured, so nothing else may run meanwhile.
pub fn peak_bytes_of(work: impl FnOnce()) -> Option<u64> {
    // Sets the peak to what is held now.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS:")?;
    work();
    Some(peak_bytes()?.saturating_sub(before))
}

fn status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_touched_is_counted() {
        let needed = peak_bytes_of(|| {
            let bytes = std::hint::black_box(vec![1_u8; 64 << 20]);
            assert_eq!(bytes[bytes.len() / 2], 1);
        });
        assert!(
            (60 << 20..200 << 20).contains(&needed.unwrap()),
            "{needed:?}"
        );
        assert!(peak_bytes().unwrap() > 64 << 20);
    }
}
