//! The templates of mails: a plain text for each kind of mail and each language, and one HTML frame for all of them.
//!
//! A text begins with header lines (`Subject:`, `Button:`) and an empty line. The HTML part shows the same paragraphs, so that the
//! two parts of a mail cannot differ. An operator can replace single files by a directory.

use std::{
    borrow::Cow,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::domain::language::Language;

/// The HTML frame.
const LAYOUT: &str = "layout.html";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

/// The templates of this program: name and source.
const BUILT_IN: &[(&str, &str)] = built_in![
    "layout.html",
    "en/confirm.txt",
    "en/already-registered.txt",
    "en/reset.txt",
    "en/password-changed.txt",
    "en/account-deleted.txt",
    "de/confirm.txt",
    "de/already-registered.txt",
    "de/reset.txt",
    "de/password-changed.txt",
    "de/account-deleted.txt",
    "vi/confirm.txt",
    "vi/already-registered.txt",
    "vi/reset.txt",
    "vi/password-changed.txt",
    "vi/account-deleted.txt",
];

/// A kind of mail: the name of its templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Confirm the address of a new account.
    Confirm,
    /// A registration with an address that has an account.
    AlreadyRegistered,
    /// Set a new password.
    Reset,
    /// The password was changed.
    PasswordChanged,
    /// The account was deleted.
    AccountDeleted,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Confirm, Self::AlreadyRegistered, Self::Reset, Self::PasswordChanged, Self::AccountDeleted];

    /// The name in file names and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::AlreadyRegistered => "already-registered",
            Self::Reset => "reset",
            Self::PasswordChanged => "password-changed",
            Self::AccountDeleted => "account-deleted",
        }
    }
}

/// The values that templates show.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// The name of the app.
    pub app: String,
    /// The link, if the app has a page for it.
    pub link: Option<String>,
    /// The secret, if the app has no page.
    pub secret: Option<String>,
    /// The lifetime of the link in minutes.
    pub minutes: i64,
    /// The end of this lifetime.
    pub expires: String,
    /// The time of the change that the mail is about.
    pub time: String,
}

/// The subject and the two parts of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, in one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

/// Why the templates of an operator cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory or a file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// A file has a name that no mail uses.
    #[error("{} is not the name of a template; the names are {}", path.display(), names())]
    UnknownName {
        /// The path in the directory.
        path: PathBuf,
    },
    /// A template has an error, or uses an unknown variable.
    #[error("template {name}: {cause}")]
    Invalid {
        /// The name of the template.
        name: String,
        /// The cause.
        cause: minijinja::Error,
    },
    /// The first lines of a text are not header lines.
    #[error(
        "template {name}: it must begin with a line `Subject: ...`, optionally a line `Button: ...`, and an empty line"
    )]
    Head {
        /// The name of the template.
        name: String,
    },
}

fn names() -> String {
    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A complete set of templates.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// The templates of this program.
    pub fn built_in() -> Self {
        let mut environment = environment();
        for (name, source) in BUILT_IN {
            #[expect(
                clippy::expect_used,
                reason = "the sources are constants, and a test renders each of them"
            )]
            environment.add_template(name, source).expect("a built-in template is valid");
        }
        Self(environment)
    }

    /// The templates of this program, with those that exist in a directory instead. Renders each with sample values, so that an
    /// error in a template stops the start and not a registration.
    pub fn with_directory(directory: &Path) -> Result<Self, TemplateError> {
        refuse_unknown_names(directory)?;
        let mut environment = environment();
        for (name, source) in BUILT_IN {
            let source = read(&directory.join(name))?.map_or(Cow::Borrowed(*source), Cow::Owned);
            let added = environment.add_template_owned(*name, source);
            added.map_err(|cause| TemplateError::Invalid { name: (*name).to_owned(), cause })?;
        }
        let templates = Self(environment);
        for (kind, language) in Kind::ALL.into_iter().flat_map(|kind| Language::ALL.map(|tag| (kind, tag))) {
            for variables in [sample(true), sample(false)] {
                templates.render(kind, language, &variables)?;
            }
        }
        Ok(templates)
    }

    /// Renders a mail.
    pub fn render(
        &self,
        kind: Kind,
        language: Language,
        variables: &Variables,
    ) -> Result<Rendered, TemplateError> {
        let name = format!("{}/{}.txt", language.tag(), kind.name());
        let text = self.fill(&name, common(kind, language, variables))?;
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let Some((subject, button)) = parse_head(head) else {
            return Err(TemplateError::Head { name });
        };
        let paragraphs: Vec<&str> =
            body.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).collect();
        let html = self.fill(
            LAYOUT,
            context! {
                subject => subject,
                button => button.or(variables.link.as_deref()).unwrap_or_default(),
                paragraphs => paragraphs.iter().copied().collect::<Value>(),
                ..common(kind, language, variables)
            },
        )?;
        Ok(Rendered { subject: subject.to_owned(), text: format!("{}\n", paragraphs.join("\n\n")), html })
    }

    fn fill(&self, name: &str, variables: Value) -> Result<String, TemplateError> {
        let rendered = self.0.get_template(name).and_then(|template| template.render(variables));
        rendered.map_err(|cause| TemplateError::Invalid { name: name.to_owned(), cause })
    }
}

/// The variables of both parts. Templates can ask whether `link` and `secret` are there.
fn common(kind: Kind, language: Language, variables: &Variables) -> Value {
    let Variables { app, link, secret, minutes, expires, time } = variables;
    let optional = |value: &Option<String>| value.as_deref().map_or(Value::from(()), Value::from);
    context! {
        kind => kind.name(),
        language => language.tag(),
        app => app.as_str(),
        link => optional(link),
        secret => optional(secret),
        minutes => *minutes,
        hours => minutes / 60,
        expires => expires.as_str(),
        time => time.as_str(),
    }
}

/// An engine that fails on unknown variables, and escapes values in HTML.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// The values of `Subject` and `Button`.
fn parse_head(head: &str) -> Option<(&str, Option<&str>)> {
    let (mut subject, mut button) = (None, None);
    for line in head.lines() {
        match line.split_once(':')? {
            ("Subject", value) => subject = Some(value.trim()),
            ("Button", value) => button = Some(value.trim()),
            _ => return None,
        }
    }
    subject.filter(|subject| !subject.is_empty()).map(|subject| (subject, button))
}

/// The content of a file without byte order mark and carriage returns, which editors may add.
fn read(path: &Path) -> Result<Option<String>, TemplateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n"))),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(TemplateError::Unreadable { path: path.to_owned(), cause }),
    }
}

/// Refuses templates that no mail would use, because their names are probably mistyped.
fn refuse_unknown_names(directory: &Path) -> Result<(), TemplateError> {
    let languages = Language::ALL.map(Language::tag);
    for part in std::iter::once("").chain(languages) {
        // Joining an empty part would add a slash.
        let path = if part.is_empty() { directory.to_owned() } else { directory.join(part) };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == ErrorKind::NotFound && !part.is_empty() => continue,
            Err(cause) => return Err(TemplateError::Unreadable { path, cause }),
        };
        for entry in entries {
            let entry = entry.map_err(|cause| TemplateError::Unreadable { path: path.clone(), cause })?;
            let relative = Path::new(part).join(entry.file_name());
            let is_template = relative.extension().is_some_and(|end| end == "txt" || end == "html");
            if is_template && !BUILT_IN.iter().any(|(name, _)| Path::new(name) == relative) {
                return Err(TemplateError::UnknownName { path: relative });
            }
        }
    }
    Ok(())
}

/// Values to check templates with: of an app with a page, or without one.
fn sample(page: bool) -> Variables {
    Variables {
        app: "Sample app".to_owned(),
        link: page.then(|| "https://app.example.com/account?action=confirm&confirmHash=sample".to_owned()),
        secret: (!page).then(|| "sample".to_owned()),
        minutes: 24 * 60,
        expires: "2026-01-02 03:04 UTC".to_owned(),
        time: "2026-01-01 03:04 UTC".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let directory = TempDir::new().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        directory
    }

    fn error(files: &[(&str, &str)]) -> String {
        Templates::with_directory(directory(files).path()).unwrap_err().to_string()
    }

    #[test]
    fn built_in_templates_show_link_or_secret_in_both_parts() {
        let templates = Templates::built_in();
        for language in Language::ALL {
            for kind in Kind::ALL {
                for page in [true, false] {
                    let variables = sample(page);
                    let Rendered { subject, text, html } =
                        templates.render(kind, language, &variables).unwrap();
                    assert!(!subject.is_empty() && !subject.contains('\n'));
                    assert!(text.contains("Sample app") && html.contains("Sample app"), "{kind:?}");
                    assert!(html.contains(&format!("<html lang=\"{}\">", language.tag())), "{html}");
                    assert!(!text.contains("\n\n\n") && text.ends_with(".\n"), "{text}");
                    let has_link = matches!(kind, Kind::Confirm | Kind::Reset);
                    let link = variables.link.unwrap_or_else(|| "sample".to_owned());
                    assert_eq!(text.contains(&format!("\n\n{link}\n\n")), has_link, "{text}");
                    let escaped = link.replace('&', "&amp;").replace('/', "&#x2f;");
                    assert_eq!(html.contains(&format!(">{escaped}<")), has_link, "{html}");
                    assert_eq!(text.contains("2026-01-02 03:04 UTC"), has_link, "{text}");
                    assert!(!html.contains("src=") && !html.contains("@import"), "nothing is loaded");
                }
            }
        }
    }

    #[test]
    fn every_kind_has_a_template_in_every_language() {
        for language in Language::ALL {
            for kind in Kind::ALL {
                let name = format!("{}/{}.txt", language.tag(), kind.name());
                assert!(BUILT_IN.iter().any(|(known, _)| *known == name), "{name}");
            }
        }
        assert_eq!(BUILT_IN.len(), 1 + Language::ALL.len() * Kind::ALL.len());
    }

    #[test]
    fn render_app_name_with_markup_is_escaped_in_html_alone() {
        let app = "<b>\"A&B\"</b> {{ secret }}";
        let variables = Variables { app: app.to_owned(), ..sample(true) };
        let rendered = Templates::built_in().render(Kind::Confirm, Language::English, &variables).unwrap();
        assert!(rendered.subject.contains(app) && rendered.text.contains(app), "{rendered:?}");
        assert!(!rendered.html.contains("<b>"), "{}", rendered.html);
        assert!(rendered.html.contains("&lt;b&gt;&quot;A&amp;B&quot;"), "{}", rendered.html);
    }

    #[test]
    fn directory_replaces_single_files() {
        let files = directory(&[
            ("de/reset.txt", "\u{FEFF}Subject: Neu: {{ app }}\r\n\r\nHier: {{ link or secret }}\r\n"),
            ("README.md", "is ignored"),
            ("fr/reset.txt", "is ignored too"),
        ]);
        let templates = Templates::with_directory(files.path()).unwrap();
        let german = templates.render(Kind::Reset, Language::German, &sample(false)).unwrap();
        assert_eq!((german.subject.as_str(), german.text.as_str()), ("Neu: Sample app", "Hier: sample\n"));
        let english = templates.render(Kind::Reset, Language::English, &sample(false)).unwrap();
        let built_in = Templates::built_in().render(Kind::Reset, Language::English, &sample(false)).unwrap();
        assert_eq!(english, built_in);
    }

    #[test]
    fn directory_with_a_mistake_is_refused_with_the_name_of_the_file() {
        let head = "Subject: a\n\n";
        for (name, content, expected) in [
            ("en/reset.txt", format!("{head}{{{{ lnk }}}}"), "en/reset.txt"),
            ("en/reset.txt", format!("{head}{{% if link %}}"), "en/reset.txt"),
            ("en/reset.txt", "Hello".to_owned(), "en/reset.txt: it must begin with a line `Subject: ...`"),
            ("en/reset.txt", "Subject:\n\nHello".to_owned(), "it must begin with"),
            ("en/reset.txt", "Subject: a\nFrom: b\n\nHello".to_owned(), "it must begin with"),
            ("layout.html", "{{ nothing }}".to_owned(), "layout.html"),
            ("en/rest.txt", String::new(), "en/rest.txt is not the name of a template"),
            ("lay-out.html", String::new(), "lay-out.html is not the name of a template"),
        ] {
            let error = error(&[(name, &content)]);
            assert!(error.contains(expected), "{content}: {error}");
        }
        let missing = Templates::with_directory(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere cannot be read"), "{missing}");
    }
}
