//! The file of students that a teacher uploads: which columns it has, and what a cell may be.

use std::fmt::Display;

use crate::{
    csv_table::{Column, Fault, Faults, Limits, Line, Names, Table},
    domain::{
        email::Email,
        person::{PersonName, PhoneNumber},
    },
};

/// The maximum number of bytes of a file.
pub const MAX_FILE: usize = 2 * 1024 * 1024;
/// The maximum number of students in a file.
pub const MAX_STUDENTS: usize = 5_000;

const LIMITS: Limits = Limits { bytes: MAX_FILE, lines: MAX_STUDENTS, columns: 16, cell: 4 * 1024 };

const COLUMNS: &[Column] = &[
    Column::required("firstName"),
    Column::required("lastName"),
    Column::optional("email"),
    Column::optional("phoneNumber"),
];
const FIRST_NAME: usize = 0;
const LAST_NAME: usize = 1;
const EMAIL: usize = 2;
const PHONE_NUMBER: usize = 3;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedStudent {
    /// The first name.
    pub first_name: PersonName,
    /// The last name.
    pub last_name: PersonName,
    /// An address whose local part is the wish for the user name.
    pub email: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
}

/// Reads a file: all students, or all faults.
pub fn parse(bytes: &[u8]) -> Result<Vec<ImportedStudent>, Faults> {
    let table = Table::read(bytes, &LIMITS)?;
    let lines = table.select(COLUMNS, Names::Lenient)?;
    let mut faults = Faults::new();
    if table.is_empty() && table.faults.is_empty() {
        faults.add(Fault::of_file("file must have at least one student below the header"));
    }
    let mut unreadable = table.faults.iter().cloned().peekable();
    let mut students = Vec::with_capacity(table.len());
    for line in lines.iter() {
        while let Some(fault) = unreadable.next_if(|fault| fault.line < Some(line.number)) {
            faults.add(fault);
        }
        let mut keep = |fault| faults.add(fault);
        let first_name = required(line, FIRST_NAME, PersonName::parse).map_err(&mut keep);
        let last_name = required(line, LAST_NAME, PersonName::parse).map_err(&mut keep);
        let email = optional(line, EMAIL, Email::parse).map_err(&mut keep);
        let phone_number = phone_number(line).map_err(&mut keep);
        if let (Ok(first_name), Ok(last_name), Ok(email), Ok(phone_number)) =
            (first_name, last_name, email, phone_number)
        {
            students.push(ImportedStudent { first_name, last_name, email, phone_number });
        }
    }
    unreadable.for_each(|fault| faults.add(fault));
    if faults.is_empty() { Ok(students) } else { Err(faults) }
}

fn optional<T, E: Display>(
    line: Line<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Fault> {
    let parsed = line.text(column)?.map(parse).transpose();
    parsed.map_err(|error| line.fault(column, error.to_string()))
}

fn required<T, E: Display>(
    line: Line<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Fault> {
    optional(line, column, parse)?.ok_or_else(|| line.fault(column, "must not be empty"))
}

/// A phone number may begin with `+`, and is no formula.
fn phone_number(line: Line<'_>) -> Result<Option<PhoneNumber>, Fault> {
    match line.get(PHONE_NUMBER).map(PhoneNumber::parse) {
        Some(Ok(number)) => Ok(Some(number)),
        _ => optional(line, PHONE_NUMBER, PhoneNumber::parse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_students_of_every_shape() {
        let text = "\u{FEFF}Phone Number;LAST-NAME;first_name;E-Mail\r\n\
                    +49 30 123;Nguyễn;Linh;linh@school.example\r\n\r\n\
                    ;\"O'Brien; Jr.\"; Max ;\r\n'+84 24;'=x;'-y;\r\n";
        let students = parse(text.as_bytes()).unwrap();
        let shown: Vec<_> = students
            .iter()
            .map(|student| {
                let email = student.email.as_ref().map(Email::as_str);
                let phone = student.phone_number.as_ref().map(PhoneNumber::as_str);
                (student.first_name.as_str(), student.last_name.as_str(), email, phone)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("Linh", "Nguyễn", Some("linh@school.example"), Some("+49 30 123")),
                ("Max", "O'Brien; Jr.", None, None),
                ("-y", "=x", None, Some("+84 24")),
            ]
        );
    }

    #[test]
    fn parse_faulty_cells_names_line_and_column_and_repeats_no_value() {
        const NAME: &str = "must have 1 to 100 characters, not only blanks, and no control character";
        const FORMULA: &str = "must not begin with =, +, -, @, a tab or a line break";
        let head = "firstName,lastName,email,phoneNumber\n";
        let long = "é".repeat(101);
        for (line, expected) in [
            (
                ",Roe,,\nMax,Roe\n=1,Roe,,\nMax".to_owned(),
                format!(
                    "line 2, column 1 (firstName): must not be empty; line 3: has 2 cells, and the header has 4; \
                     line 4, column 1 (firstName): {FORMULA}; line 5: has 1 cell, and the header has 4"
                ),
            ),
            (",Roe,,".to_owned(), "line 2, column 1 (firstName): must not be empty".to_owned()),
            ("Max, ,,".to_owned(), "line 2, column 2 (lastName): must not be empty".to_owned()),
            (format!("Max,{long},,"), format!("line 2, column 2 (lastName): {NAME}")),
            ("\"a\u{7}b\",Roe,,".to_owned(), format!("line 2, column 1 (firstName): {NAME}")),
            ("\"a\nb\",Roe,,".to_owned(), format!("line 2, column 1 (firstName): {NAME}")),
            ("\u{200B},Roe,,".to_owned(), format!("line 2, column 1 (firstName): {NAME}")),
            ("=1+1,Roe,,".to_owned(), format!("line 2, column 1 (firstName): {FORMULA}")),
            ("Max,@Roe,,".to_owned(), format!("line 2, column 2 (lastName): {FORMULA}")),
            ("Max,Roe,+a@b.example,".to_owned(), format!("line 2, column 3 (email): {FORMULA}")),
            (
                "Max,Roe,max,".to_owned(),
                "line 2, column 3 (email): must be an e-mail address, local@domain, of 3 to 254 characters"
                    .to_owned(),
            ),
            ("Max,Roe,,+cmd|1".to_owned(), format!("line 2, column 4 (phoneNumber): {FORMULA}")),
            (
                "Max,Roe,,none".to_owned(),
                "line 2, column 4 (phoneNumber): must be a phone number: 3 to 32 digits, blanks and + - / ( ) ."
                    .to_owned(),
            ),
            (
                "Max,-,x,\nMax,Roe,,1".to_owned(),
                format!(
                    "line 2, column 2 (lastName): {FORMULA}; line 2, column 3 (email): must be an e-mail \
                     address, local@domain, of 3 to 254 characters; line 3, column 4 (phoneNumber): must be a \
                     phone number: 3 to 32 digits, blanks and + - / ( ) ."
                ),
            ),
            (String::new(), "file must have at least one student below the header".to_owned()),
        ] {
            let found = parse(format!("{head}{line}\n").as_bytes()).unwrap_err();
            assert_eq!(found.message(), expected, "{line}");
        }
    }

    #[test]
    fn parse_largest_file_is_accepted_and_one_line_more_is_refused() {
        let head = "firstName,lastName\n";
        let most = format!("{head}{}", "Max,Roe\n".repeat(MAX_STUDENTS));
        assert_eq!(parse(most.as_bytes()).unwrap().len(), MAX_STUDENTS);
        let more = parse(format!("{most}Max,Roe\n").as_bytes()).unwrap_err();
        let expected = "line 5002: goes beyond 5000, the maximum number of lines below the header";
        assert_eq!(more.message(), expected);
    }
}
