//! Which interfaces the configuration wants, by their names.

use glob::Pattern;

/// A choice of interfaces. Empty, it leaves each to its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Only these are watched; empty means every one.
    pub include: Vec<Pattern>,
    /// These are not watched, whatever else is said.
    pub exclude: Vec<Pattern>,
    /// These alone are watched, and must exist at the start; empty means that patterns decide.
    pub names: Vec<String>,
}

/// What a choice says of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its role decides.
    ByRole,
    /// It is asked for by its very name.
    Named,
    /// It is excluded.
    Excluded,
    /// Others are asked for.
    NotIncluded,
}

impl Interfaces {
    /// Reads the patterns.
    pub(super) fn parse(include: &[String], exclude: &[String]) -> Result<Self, String> {
        Ok(Self {
            include: patterns("include", include)?,
            exclude: patterns("exclude", exclude)?,
            names: Vec::new(),
        })
    }

    /// What is said of the interface of that name.
    pub fn choose(&self, name: &str) -> Choice {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        if !self.names.is_empty() {
            return if self.names.iter().any(|wanted| wanted == name) {
                Choice::Named
            } else {
                Choice::NotIncluded
            };
        }
        if matches(&self.exclude) {
            Choice::Excluded
        } else if self.include.iter().any(|pattern| pattern.as_str() == name) {
            Choice::Named
        } else if self.include.is_empty() || matches(&self.include) {
            Choice::ByRole
        } else {
            Choice::NotIncluded
        }
    }
}

fn patterns(key: &str, texts: &[String]) -> Result<Vec<Pattern>, String> {
    let parse = |text: &String| {
        Pattern::new(text)
            .map_err(|error| format!("`interfaces.{key}`: `{text}`: {}; write one like `eth*`", error.msg))
    };
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclude_wins_and_names_are_more_than_patterns() {
        let choose = |include: &[&str], exclude: &[&str], name| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            Interfaces::parse(&texts(include), &texts(exclude)).map(|choice| choice.choose(name))
        };
        assert_eq!(choose(&[], &[], "eth0"), Ok(Choice::ByRole));
        assert_eq!(choose(&["eth*"], &[], "eth0"), Ok(Choice::ByRole));
        assert_eq!(choose(&["eth?"], &[], "eth10"), Ok(Choice::NotIncluded));
        assert_eq!(choose(&["eth*", "br0"], &[], "br0"), Ok(Choice::Named));
        assert_eq!(choose(&["eth*"], &["eth1"], "eth1"), Ok(Choice::Excluded));
        assert_eq!(choose(&["eth1"], &["eth*"], "eth1"), Ok(Choice::Excluded));
        assert_eq!(choose(&[], &["veth*"], "eth0"), Ok(Choice::ByRole));
        let error = choose(&["eth["], &[], "eth0").expect_err("no pattern");
        assert!(error.starts_with("`interfaces.include`: `eth[`: "), "{error}");
    }

    #[test]
    fn names_of_the_command_line_stand_alone() {
        let choice = Interfaces {
            names: vec!["eth*".to_owned()],
            exclude: vec![Pattern::new("*").expect("a pattern")],
            ..Interfaces::default()
        };
        assert_eq!(choice.choose("eth*"), Choice::Named);
        assert_eq!(choice.choose("eth0"), Choice::NotIncluded);
    }
}
