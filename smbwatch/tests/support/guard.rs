//! A process that ends with the test.

use std::process::Child;

/// Dropping it ends the process.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
