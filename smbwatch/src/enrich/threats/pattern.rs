//! Patterns of STIX 2.1 (section 9), as far as they name addresses of which each alone makes them match.

use ipnet::IpNet;

use super::parse_prefix;

/// Brackets inside brackets that are followed.
const MAX_DEPTH: usize = 16;
/// What an address stands behind.
const PATHS: [&str; 3] = ["ipv4-addr:value", "ipv6-addr:value", "network-traffic:dst_ref.value"];

/// The addresses; none where the pattern is about something else, or asks for more than an address.
pub(super) fn addresses(pattern: &str) -> Result<Vec<IpNet>, String> {
    if !PATHS.iter().any(|path| pattern.contains(path)) {
        return Ok(Vec::new());
    }
    let mut tokens = Tokens { rest: pattern };
    let addresses = alternatives(&mut tokens, 0)?;
    match tokens.next()? {
        None => Ok(addresses),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Word(&'a str),
    Text(String),
}

#[derive(Clone)]
struct Tokens<'a> {
    rest: &'a str,
}

/// What is joined by OR.
fn alternatives(tokens: &mut Tokens<'_>, depth: usize) -> Result<Vec<IpNet>, String> {
    let mut addresses = conjunction(tokens, depth)?;
    while tokens.takes("OR")? {
        addresses.append(&mut conjunction(tokens, depth)?);
    }
    Ok(addresses)
}

/// What is joined by AND or FOLLOWEDBY, or qualified: no address in it is enough.
fn conjunction(tokens: &mut Tokens<'_>, depth: usize) -> Result<Vec<IpNet>, String> {
    let addresses = term(tokens, depth)?;
    let mut alone = true;
    loop {
        if tokens.takes("AND")? || tokens.takes("FOLLOWEDBY")? {
            term(tokens, depth)?;
        } else if !tokens.skip_qualifier()? {
            return Ok(if alone { addresses } else { Vec::new() });
        }
        alone = false;
    }
}

fn term(tokens: &mut Tokens<'_>, depth: usize) -> Result<Vec<IpNet>, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} brackets inside each other"));
    }
    match tokens.next()? {
        Some(Token::Open) => {
            let addresses = alternatives(tokens, depth + 1)?;
            tokens.expect(&Token::Close)?;
            Ok(addresses)
        }
        Some(Token::Word("EXISTS")) => tokens.next().map(|_| Vec::new()),
        Some(Token::Word(path)) => comparison(path, tokens),
        other => Err(format!("a comparison is missing before {other:?}")),
    }
}

/// What follows an object path.
fn comparison(path: &str, tokens: &mut Tokens<'_>) -> Result<Vec<IpNet>, String> {
    let is_negated = tokens.takes("NOT")?;
    let Some(Token::Word(operator)) = tokens.next()? else {
        return Err(format!("`{path}` has no operator"));
    };
    let values = if operator == "IN" { tokens.set()? } else { vec![tokens.value()?] };
    if is_negated || !PATHS.contains(&path) || !["=", "==", "IN", "ISSUBSET"].contains(&operator) {
        return Ok(Vec::new());
    }
    values.iter().map(|value| parse_prefix(value)).collect()
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, String> {
        self.rest = self.rest.trim_start();
        let mut letters = self.rest.chars();
        let token = match letters.next() {
            None => return Ok(None),
            Some('[' | '(') => Token::Open,
            Some(']' | ')') => Token::Close,
            Some(',') => Token::Comma,
            Some('\'') => {
                self.rest = letters.as_str();
                return self.text().map(Some);
            }
            Some(first) if is_operator(first) => return Ok(Some(self.word(|letter| !is_operator(letter)))),
            Some(_) => return Ok(Some(self.name())),
        };
        self.rest = letters.as_str();
        Ok(Some(token))
    }

    /// Up to the next quote that is not escaped.
    fn text(&mut self) -> Result<Token<'a>, String> {
        let mut text = String::new();
        let mut letters = self.rest.chars();
        loop {
            match letters.next() {
                Some('\'') => break,
                Some('\\') => text.extend(letters.next()),
                Some(letter) => text.push(letter),
                None => return Err("a quote is missing".to_owned()),
            }
        }
        self.rest = letters.as_str();
        Ok(Token::Text(text))
    }

    /// An object path, a keyword or a constant. Quoted keys and indices belong to it.
    fn name(&mut self) -> Token<'a> {
        let (mut quoted, mut indexed) = (false, false);
        self.word(|letter| {
            quoted ^= letter == '\'';
            let closes_index = indexed && letter == ']';
            indexed = (indexed || letter == '[') && !closes_index;
            let ends = letter.is_whitespace() || is_operator(letter) || "(),]".contains(letter);
            ends && !quoted && !closes_index
        })
    }

    fn word(&mut self, ends: impl FnMut(char) -> bool) -> Token<'a> {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        Token::Word(word)
    }

    /// Takes a word, if it is next.
    fn takes(&mut self, word: &str) -> Result<bool, String> {
        let mut ahead = self.clone();
        let found = ahead.next()? == Some(Token::Word(word));
        if found {
            *self = ahead;
        }
        Ok(found)
    }

    fn expect(&mut self, wanted: &Token<'_>) -> Result<(), String> {
        match self.next()? {
            Some(token) if token == *wanted => Ok(()),
            other => Err(format!("{other:?} where {wanted:?} is expected")),
        }
    }

    /// `WITHIN 5 SECONDS`, `REPEATS 5 TIMES` or `START t'…' STOP t'…'`.
    fn skip_qualifier(&mut self) -> Result<bool, String> {
        let tokens = if self.takes("WITHIN")? || self.takes("REPEATS")? {
            2
        } else if self.takes("START")? {
            3
        } else {
            return Ok(false);
        };
        for _ in 0..tokens {
            self.next()?;
        }
        Ok(true)
    }

    /// A text in quotes, or a number, a time or the like as it stands.
    fn value(&mut self) -> Result<String, String> {
        match self.next()? {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Word(word)) => Ok(word.to_owned()),
            other => Err(format!("{other:?} where a value is expected")),
        }
    }

    /// Values in brackets.
    fn set(&mut self) -> Result<Vec<String>, String> {
        self.expect(&Token::Open)?;
        let mut values = vec![self.value()?];
        loop {
            match self.next()? {
                Some(Token::Comma) => values.push(self.value()?),
                Some(Token::Close) => return Ok(values),
                other => return Err(format!("{other:?} in a set of values")),
            }
        }
    }
}

fn is_operator(letter: char) -> bool {
    "=!<>".contains(letter)
}
