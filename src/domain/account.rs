//! People: what an e-mail address and a password must look like, and roles.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person does here. One account can hold both; the active one is an
/// attribute of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs workloads.
    #[default]
    User,
    /// Lends machines.
    Provider,
}

impl Role {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Provider => "provider",
        }
    }
}

/// An e-mail address in the one form in which it is stored and compared: trimmed
/// and in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// What is wrong with something typed in; says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(&'static str);

impl Email {
    /// Reads an address as somebody typed it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Fault("Enter your e-mail address."));
        }
        let text = text.to_lowercase();
        let strange = text.len() > 254
            || text.chars().any(|c| c.is_control() || c.is_whitespace())
            || text
                .rsplit('@')
                .next()
                .is_some_and(|domain| domain.starts_with('['));
        if strange || text.parse::<lettre::Address>().is_err() {
            return Err(Fault("Enter an e-mail address, such as you@example.org."));
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or(&*self.0, |(local, _)| local)
    }
}

/// Whether a password may be chosen for this address. Length counts, not
/// composition; what everybody tries first is refused.
pub fn acceptable_password(password: &str, email: Option<&Email>) -> Result<(), Fault> {
    if password.is_empty() {
        return Err(Fault("Choose a password."));
    }
    if password.len() < 8 {
        return Err(Fault("Choose a password of at least 8 characters."));
    }
    if password.len() > 256 {
        return Err(Fault("Choose a password of at most 256 characters."));
    }
    let plain = password.trim().to_lowercase();
    if email.is_some_and(|email| plain == email.as_str() || plain == email.local()) {
        return Err(Fault("Choose a password that is not your e-mail address."));
    }
    let one_sign_only = plain.chars().all(|c| plain.starts_with(c));
    if one_sign_only || COMMON.contains(&plain.as_str()) {
        return Err(Fault(
            "This password is one of the first that anybody would try. Choose another.",
        ));
    }
    Ok(())
}

/// A person's name as given: trimmed; `None` if nothing is left.
pub fn person(name: &str) -> Result<Option<String>, Fault> {
    let name = name.trim();
    if name.chars().count() > 100 || name.chars().any(super::text::is_invisible_order) {
        return Err(Fault("Enter a name of at most 100 characters on one line."));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// The passwords of eight signs and more that lists of leaks begin with.
const COMMON: &[&str] = &[
    "00000000",
    "0123456789",
    "10203040",
    "1029384756",
    "11111111",
    "11223344",
    "112233445566",
    "12121212",
    "12341234",
    "123123123",
    "12345678",
    "123456789",
    "1234567890",
    "12345678910",
    "123456789a",
    "12345678a",
    "1234qwer",
    "123qweasd",
    "123qwe123",
    "147258369",
    "147852369",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx",
    "1qaz2wsx3edc",
    "1qazxsw2",
    "20202020",
    "22222222",
    "87654321",
    "88888888",
    "987654321",
    "9876543210",
    "99999999",
    "a1234567",
    "a12345678",
    "a123456789",
    "aa123456",
    "aa12345678",
    "abc12345",
    "abcd1234",
    "abcdefgh",
    "abcdefghi",
    "admin123",
    "admin1234",
    "administrator",
    "alexander",
    "asdf1234",
    "asdfasdf",
    "asdfghjk",
    "asdfghjkl",
    "azertyuiop",
    "babygirl",
    "baseball",
    "basketball",
    "benjamin",
    "butterfly",
    "caroline",
    "changeme",
    "changeme123",
    "charlie1",
    "chocolate",
    "computer",
    "corvette",
    "danielle",
    "dragon123",
    "elizabeth",
    "facebook",
    "football",
    "football1",
    "garfield",
    "hello123",
    "iloveyou",
    "iloveyou1",
    "internet",
    "jennifer",
    "jonathan",
    "junglegrid",
    "jungle123",
    "letmein1",
    "letmein123",
    "liverpool",
    "login123",
    "master123",
    "mercedes",
    "metallica",
    "michael1",
    "michelle",
    "midnight",
    "monkey123",
    "mustang1",
    "nicholas",
    "p@ssw0rd",
    "p@ssword",
    "pa55word",
    "passw0rd",
    "password",
    "password!",
    "password1",
    "password1!",
    "password12",
    "password123",
    "password1234",
    "password2",
    "passwort",
    "patricia",
    "pokemon1",
    "princess",
    "princess1",
    "q1w2e3r4",
    "q1w2e3r4t5",
    "qazwsxedc",
    "qwer1234",
    "qwerasdf",
    "qwerty12",
    "qwerty123",
    "qwerty1234",
    "qwerty12345",
    "qwertyui",
    "qwertyuiop",
    "samantha",
    "secret123",
    "sunshine",
    "sunshine1",
    "superman",
    "superman1",
    "startrek",
    "starwars",
    "test1234",
    "testtest",
    "trustno1",
    "victoria",
    "welcome1",
    "welcome123",
    "whatever",
    "zaq12wsx",
    "zxcvbnm1",
    "zxcvbnm123",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_stored_in_one_form_or_refused() {
        let email = Email::parse("  Ada@Example.ORG ").unwrap();
        assert_eq!((email.as_str(), email.local()), ("ada@example.org", "ada"));
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@[127.0.0.1]",
            "ada@[IPv6:::1]",
            "a b@c.org",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada@example.org\0",
            "a@b@c.org",
            &long,
            "Ada <ada@example.org>",
            "ada@example.org,eve@example.org",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_passwords_that_are_tried_first_are_refused() {
        let email = Email::parse("adalovelace@example.org").unwrap();
        let may = |password: &str| acceptable_password(password, Some(&email)).is_ok();
        assert!(may("correct horse battery staple") && may("eight8ch") && may(&"ab".repeat(128)));
        for bad in [
            "",
            "1234567",
            "password",
            "PassWord1",
            "aaaaaaaaaaaa",
            "ADALOVELACE",
            "AdaLovelace@Example.org",
            &"ab".repeat(129),
        ] {
            assert!(!may(bad), "{bad}");
        }
    }
}
