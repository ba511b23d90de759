//! What the mails say. Nothing that a stranger typed stands in a mail to an
//! address that is not proven, and no subject contains a code.
use crate::domain::account::Email;
use crate::domain::money::Usd;
use crate::orchestrator::State;
use crate::store::mails::Mail;
use time::Duration;

/// How long a code is good for, and its mail worth sending.
pub(super) const CODE_LIFE: Duration = Duration::minutes(10);
/// How long other mails are worth sending.
const NOTE_LIFE: Duration = Duration::DAY;

/// What a mail is about.
#[derive(Debug, Clone)]
pub(super) enum Letter {
    /// The code that proves an address.
    Verify { code: String },
    /// The code with which a new password can be chosen.
    Reset { code: String },
    /// Somebody registers with an address that has an account.
    AlreadyHere,
    /// Somebody asks for a code for an address that has no account.
    NotHere,
    /// The address is proven.
    Welcome { name: Option<String>, credit: Usd },
    /// A new password was chosen.
    PasswordChanged,
}

impl Letter {
    /// The mail to `email`, to be queued now.
    pub(super) fn to(&self, email: &Email, state: &State) -> Mail {
        let url = &state.config().public_url;
        let now = state.now();
        let life = match self {
            Self::Verify { .. } | Self::Reset { .. } => CODE_LIFE,
            Self::AlreadyHere | Self::NotHere | Self::Welcome { .. } | Self::PasswordChanged => {
                NOTE_LIFE
            }
        };
        Mail {
            id: state.id(),
            recipient: email.as_str().to_owned(),
            subject: self.subject().to_owned(),
            body: format!("{}\n\nJungle Grid\n{url}\n", self.text(url)),
            attempts: 0,
            created_at: now,
            expires_at: now + life,
        }
    }

    const fn subject(&self) -> &'static str {
        match self {
            Self::Verify { .. } => "Your code for Jungle Grid",
            Self::Reset { .. } => "Choose a new password for Jungle Grid",
            Self::AlreadyHere => "You already have a Jungle Grid account",
            Self::NotHere => "No Jungle Grid account for this address",
            Self::Welcome { .. } => "Welcome to Jungle Grid",
            Self::PasswordChanged => "Your Jungle Grid password was changed",
        }
    }

    fn text(&self, url: &str) -> String {
        match self {
            Self::Verify { code } => format!(
                "Welcome. This is the code that confirms your e-mail address at {url}:\n\n\
                 {code}\n\n\
                 It is valid for 10 minutes, and only the newest code works.\n\n\
                 If this was not you, ignore this mail: without the code nothing happens."
            ),
            Self::Reset { code } => format!(
                "With this code you can choose a new password at {url}:\n\n\
                 {code}\n\n\
                 It is valid for 10 minutes, and only the newest code works.\n\n\
                 If this was not you, ignore this mail: your password stays as it is."
            ),
            Self::AlreadyHere => format!(
                "Somebody, probably you, wanted to register this address at {url}.\n\n\
                 You already have an account: sign in with your password, or choose a new one \
                 there if you have forgotten it.\n\n\
                 If this was not you, ignore this mail: nothing has changed."
            ),
            Self::NotHere => format!(
                "Somebody, probably you, asked for a code for this address at {url}.\n\n\
                 There is no account for it. Perhaps you used another address; otherwise you are \
                 welcome to register.\n\n\
                 If this was not you, ignore this mail."
            ),
            Self::Welcome { name, credit } => {
                let greeting = name
                    .as_ref()
                    .map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"));
                let gift = if *credit > Usd::ZERO {
                    format!(" We have put {credit} on your account, so you can try things out.")
                } else {
                    String::new()
                };
                format!(
                    "{greeting}\n\nyour address is confirmed and your workspace is ready.{gift}\n\n\
                     Say what you want to run, see what it will cost, and go: {url}"
                )
            }
            Self::PasswordChanged => format!(
                "The password of your account at {url} has just been changed, and every other \
                 session was signed out.\n\n\
                 If this was not you, choose a new password there at once: whoever did it can \
                 read your mail."
            ),
        }
    }
}
