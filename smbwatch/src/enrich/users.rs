//! User names by number.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Names from /etc/passwd alone: a directory service may take seconds to answer, and records would wait.
pub struct Users {
    path: PathBuf,
    read: Option<SystemTime>,
    names: HashMap<u32, String>,
}

impl Default for Users {
    fn default() -> Self {
        Self { path: "/etc/passwd".into(), read: None, names: HashMap::new() }
    }
}

impl Users {
    /// The name of a user, if the file has one.
    pub fn name(&mut self, id: u32) -> Option<String> {
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        if self.read.is_none() || modified != self.read {
            self.read = modified;
            self.names = fs::read_to_string(&self.path).map(|text| parse(&text)).unwrap_or_default();
        }
        self.names.get(&id).cloned()
    }
}

/// `name:password:id:…`, passwd(5). The first of several names counts.
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(id)) = (fields.next(), fields.nth(1).and_then(|id| id.parse().ok())) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_are_passed_over() {
        let names =
            parse("root:x:0:0:root:/root:/bin/sh\n\n+::::::\ntoor:x:0:0\nalice:x:1000\nbob:x:many:\n");
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        assert_eq!(names, [(0, "root".to_owned()), (1000, "alice".to_owned())]);
    }
}
