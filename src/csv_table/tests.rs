//! Tests of reading and writing CSV files.

use proptest::prelude::*;

use super::*;

const COLUMNS: &[Column] =
    &[Column::required("firstName"), Column::required("lastName"), Column::optional("email")];
const LIMITS: Limits = Limits { bytes: 4096, lines: 5, columns: 4, cell: 20 };

/// The number of a line, and its cells.
type Cells = (u64, Vec<Option<String>>);

/// The cells of every line, or all faults as one text.
fn read(bytes: &[u8], names: Names) -> Result<Vec<Cells>, String> {
    let table = Table::read(bytes, &LIMITS).map_err(|faults| faults.message())?;
    if !table.faults.is_empty() {
        let mut faults = Faults::new();
        table.faults.into_iter().for_each(|fault| faults.add(fault));
        return Err(faults.message());
    }
    let lines = table.select(COLUMNS, names).map_err(|faults| faults.message())?;
    let cells =
        |line: Line<'_>| (0..COLUMNS.len()).map(|column| line.get(column).map(str::to_owned)).collect();
    Ok(lines.iter().map(|line| (line.number, cells(line))).collect())
}

fn line(number: u64, cells: [&str; 3]) -> Cells {
    (number, cells.iter().map(|cell| (!cell.is_empty()).then(|| (*cell).to_owned())).collect())
}

#[test]
fn read_sound_file_gives_its_cells_and_line_numbers() {
    let expected = vec![line(2, ["Linh", "Nguyễn", ""]), line(3, ["Max", "Groß", "max@a.example"])];
    for text in [
        "firstName,lastName,email\nLinh,Nguyễn,\nMax,Groß,max@a.example\n",
        "firstName,lastName,email\r\nLinh,Nguyễn,\r\nMax,Groß,max@a.example",
        "\u{FEFF}firstName,lastName,email\nLinh,Nguyễn,\nMax,Groß,max@a.example\n",
        "firstName;lastName;email\nLinh;Nguyễn;\nMax;Groß;max@a.example\n",
        "email,lastName,firstName\n,Nguyễn,Linh\nmax@a.example,Groß,Max\n",
        " First Name ,LAST_NAME,e-mail\n Linh , Nguyễn ,\nMax,Groß,max@a.example\n\n  \n,,\n",
        "\"firstName\",\"lastName\",\"email\"\n\"Linh\",\"Nguyễn\",\"\"\n\"Max\",\"Groß\",\"max@a.example\"\n",
    ] {
        assert_eq!(read(text.as_bytes(), Names::Lenient).as_ref(), Ok(&expected), "{text}");
    }
}

#[test]
fn read_quoted_cells_keeps_separators_quotes_and_line_breaks() {
    let text = "firstName,lastName\n\n\"a,b\",\"c\"\"d\"\n\"e\nf\",g\r\n\n\"h;\",'=i\n";
    let expected = vec![line(3, ["a,b", "c\"d", ""]), line(4, ["e\nf", "g", ""]), line(7, ["h;", "=i", ""])];
    assert_eq!(read(text.as_bytes(), Names::Lenient), Ok(expected));
}

#[test]
fn read_faulty_file_names_line_and_column() {
    let long = format!("firstName,lastName\n{},b\n", "a".repeat(21));
    let large = format!("firstName,lastName\n{}", "a,b\n".repeat(1100));
    let many = format!("firstName,lastName\n{}", "a,b\n".repeat(6));
    for (text, expected) in [
        (&b""[..], "file must begin with a header: the names of the columns"),
        (b"\n\r\n\n", "file must begin with a header: the names of the columns"),
        (b"\xEF\xBB\xBF", "file must begin with a header: the names of the columns"),
        (b"\xFF\xFEf\0i\0", "line 1: byte 1 of the line begins UTF-16; save the file as UTF-8"),
        (b"\xFE\xFF\0f\0i", "line 1: byte 1 of the line begins UTF-16; save the file as UTF-8"),
        (b"f\0i\0", "line 1: byte 2 of the line is NUL, as in UTF-16; save the file as UTF-8"),
        (
            b"firstName,lastName\nJ\xFCrgen,b\n",
            "line 2: byte 2 of the line is not UTF-8; save the file as UTF-8",
        ),
        (
            b"firstName,lastName\na,b\nc,d\xC3",
            "line 3: byte 4 of the line is not UTF-8; save the file as UTF-8",
        ),
        (b"a\0\xFF", "line 1: byte 2 of the line is NUL, as in UTF-16; save the file as UTF-8"),
        (
            b"firstName\tlastName\na\tb\n",
            "line 1: the header has a tab; the columns must be separated by commas or semicolons",
        ),
        (
            b"firstName,lastName;email\n",
            "line 1: the header has commas and semicolons; only one of them separates columns",
        ),
        (
            b"firstName,lastName\na,b\"c\n",
            "line 2, column 2: has a quote; a cell with quotes must be in quotes, and its quotes doubled",
        ),
        (b"firstName,lastName\n\"a\"b,c\n", "line 2, column 1: has text behind the closing quote"),
        (b"firstName,lastName\n\"a\" ,c\n", "line 2, column 1: has text behind the closing quote"),
        (b"firstName,lastName\na,\"b\nc,d\n", "line 2, column 2: has an opening quote without a closing one"),
        (
            b"firstName,lastName\na,b\rc,d\r",
            "line 2, column 2: has a CR without LF; lines must end with LF or CRLF; line 2, column 3: has a CR without LF; lines must end with LF or CRLF",
        ),
        (b"firstName,lastName\na\n", "line 2: has 1 cell, and the header has 2"),
        (
            b"firstName,lastName\na,b,c\n\nd,e,\n",
            "line 2: has 3 cells, and the header has 2; line 4: has 3 cells, and the header has 2",
        ),
        (b"firstName\na\n", "line 1: the header has no column lastName"),
        (b"\n\nlastName\na\n", "line 3: the header has no column firstName"),
        (b"firstName,lastName,first_name\n", "line 1, column 3 (firstName): is in the header twice"),
        (
            b"firstName,lastName,class\n",
            "line 1, column 3: has an unknown name; the columns are firstName, lastName, email",
        ),
        (b"firstName,lastName,\na,b,\n", "line 1, column 3: has no name in the header"),
        (b"a,b,c,d,e\n", "line 1: must have at most 4 columns"),
        (long.as_bytes(), "line 2, column 1: must have at most 20 bytes"),
        (large.as_bytes(), "file must have at most 4096 bytes; line 1021 goes beyond"),
        (many.as_bytes(), "line 7: goes beyond 5, the maximum number of lines below the header"),
    ] {
        let found = read(text, Names::Lenient);
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            Err(expected),
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn select_exact_names_ignores_other_columns() {
    let text = b"firstName,lastName,,class\na,b,c,d\n";
    assert_eq!(read(text, Names::Exact), Ok(vec![line(2, ["a", "b", ""])]));
    let other = read(b"firstname,lastName,lastName\n", Names::Exact).unwrap_err();
    assert_eq!(
        other,
        "line 1, column 3 (lastName): is in the header twice; line 1: the header has no column firstName"
    );
}

#[test]
fn text_of_formula_is_a_fault_unless_it_has_an_apostrophe() {
    let text = "firstName,lastName\n=1,\" +a\"\n\"\tb\",'-c\n@d,'e\n\"\nf\",\"\r\ng\"\n";
    let table = Table::read(text.as_bytes(), &LIMITS).unwrap();
    let lines = table.select(COLUMNS, Names::Lenient).unwrap();
    let found: Vec<_> = lines
        .iter()
        .flat_map(|line| [0, 1].map(|column| line.text(column).map_err(|fault| fault.to_string())))
        .map(|cell| cell.map(|text| text.unwrap().to_owned()))
        .collect();
    let fault = |place| Err(format!("{place}: must not begin with =, +, -, @, a tab or a line break"));
    let expected = [
        fault("line 2, column 1 (firstName)"),
        fault("line 2, column 2 (lastName)"),
        fault("line 3, column 1 (firstName)"),
        Ok("-c".to_owned()),
        fault("line 4, column 1 (firstName)"),
        Ok("'e".to_owned()),
        fault("line 5, column 1 (firstName)"),
        fault("line 5, column 2 (lastName)"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn faults_beyond_the_first_ones_are_named_by_their_lines() {
    let mut faults = Faults::with_full(1);
    for number in [3, 3, 70, 71, 80, 81, 82, 90] {
        faults.add(Fault::of_line(number, "is faulty"));
    }
    assert_eq!(faults.message(), "line 3: is faulty; further faulty lines: 3, 70, 71, 80-82, 90");
    let mut both = faults.in_file("a.csv");
    both.extend(Faults::new());
    both.add(Fault { file: Some("b.csv".to_owned()), ..Fault::of_line(91, "is faulty") });
    assert_eq!(
        both.message(),
        "a.csv, line 3: is faulty; further faulty lines: a.csv 3, 70, 71, 80-82, 90, b.csv 91"
    );
}

#[test]
fn message_of_many_faults_stays_below_its_maximum() {
    let mut faults = Faults::new();
    for number in 0..100_000 {
        faults.add(Fault::of_line(2 * number, "x".repeat(300)));
    }
    let message = faults.message();
    assert!(message.chars().count() <= Faults::MAX_MESSAGE && message.ends_with(" more places"), "{message}");
}

#[test]
fn write_cells_neutralizes_formulas_and_quotes_as_rfc_4180() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.row(["a", "b,c", "d\"e", "f\ng"]).unwrap();
    writer.row(["=1+1", "+49", "-", "@x"]).unwrap();
    writer.row(["\ta", "'=b", "''c", "d;"]).unwrap();
    writer.finish().unwrap();
    let expected = "a,\"b,c\",\"d\"\"e\",\"f\ng\"\r\n'=1+1,'+49,'-,'@x\r\n'\ta,''=b,''c,d;\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

proptest! {
    #[test]
    fn written_file_is_read_back(rows in prop::collection::vec(("[=+@'a,;\"\n é-]{1,6}", "[=+@'a,;\"\n é-]{1,6}"), 1..5)) {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.row(["firstName", "lastName"]).unwrap();
        for (first, last) in &rows {
            writer.row([first.as_str(), last.as_str()]).unwrap();
        }
        writer.finish().unwrap();
        let expected: Vec<Vec<String>> = rows
            .iter()
            .map(|(first, last)| vec![first.trim().to_owned(), last.trim().to_owned()])
            .filter(|row| row.iter().any(|cell| !cell.is_empty()))
            .collect();
        let found = read(&out, Names::Exact).unwrap();
        let found: Vec<Vec<String>> = found
            .into_iter()
            .map(|(_, cells)| cells.into_iter().take(2).map(Option::unwrap_or_default).collect())
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn read_any_bytes_never_panics(text in "(firstName,lastName\n)?[\\PC\n\r\",;\t\0]{0,60}") {
        let _ = read(text.as_bytes(), Names::Lenient);
    }
}
