//! Tests of reading roster files.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{
    files::{ReadError, read},
    model::{Role, Roster},
};
use crate::domain::sourced_id::SourcedId;

const MANIFEST: &str =
    "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.orgs,bulk\nfile.users,bulk\n";
const ORGS: &str = "sourcedId,name,type\no1,School,school\n";
const USERS: &str = "sourcedId,status,enabledUser,username,givenName,familyName,email\n\
                     p1,,true,linh,Linh,Nguyễn,\np2,,true,max,Max,Groß,\nt1,,true,t,Eva,Kern,eva@school.example\n\
                     t2,,true,t,Ole,Voß,ole@school.example\nx1,,true,x,Ann,Other,\n";
const CLASSES: &str = "sourcedId,status,title,schoolSourcedId,termSourcedIds\nc1,,10A1,o1,\nc2,,\"Mathematics, a course with a title that is rather long\",o1,\n";
const ENROLLMENTS: &str = "sourcedId,status,classSourcedId,userSourcedId,role,primary\n\
                           e1,,c1,p1,student,false\ne2,,c1,p2,student,\ne3,,c1,t1,teacher,false\ne4,,c1,t2,teacher,true\n\
                           e5,,c2,p1,student,\ne6,,c2,t1,teacher,\ne7,,c2,x1,aide,\n";

/// Writes a sound roster in OneRoster, changed by `files`: an empty text removes a file.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    let sound = [
        ("manifest.csv", MANIFEST),
        ("orgs.csv", ORGS),
        ("users.csv", USERS),
        ("classes.csv", CLASSES),
        ("enrollments.csv", ENROLLMENTS),
    ];
    for (name, text) in sound.iter().chain(files) {
        let path = directory.path().join(name);
        if text.is_empty() { fs::remove_file(path).unwrap() } else { fs::write(path, text).unwrap() }
    }
    directory
}

fn faults(path: &Path) -> String {
    match read(path).unwrap_err() {
        ReadError::Faulty(faults) => faults.message(),
        ReadError::Io(error) => panic!("{error}"),
    }
}

fn id(text: &str) -> SourcedId {
    SourcedId::parse(text).unwrap()
}

/// Classes with owner and students, in text.
fn outline(roster: &Roster) -> Vec<String> {
    let classes = roster.classes.iter().map(|(id, group)| {
        let students: Vec<_> =
            group.students.iter().map(|(user, own)| format!("{}={}", user.as_str(), own.as_str())).collect();
        let owner = group.owner.as_ref().map_or("-", SourcedId::as_str);
        format!("{} {} {owner} {}", id.as_str(), group.name.as_str(), students.join(" "))
    });
    classes.collect()
}

#[test]
fn read_one_roster_gives_owners_students_and_roles() {
    let directory = directory(&[]);
    let roster = read(directory.path()).unwrap();
    assert_eq!(
        outline(&roster),
        ["c1 10A1 t2 p1=e1 p2=e2", "c2 Mathematics, a course with a title that is rather… t1 p1=e5",]
    );
    let roles: Vec<_> = roster.users.iter().map(|(id, person)| (id.as_str(), person.role)).collect();
    let expected =
        [("p1", Role::Student), ("p2", Role::Student), ("t1", Role::Teacher), ("t2", Role::Teacher)];
    assert_eq!(roles, expected);
    assert_eq!(roster.users[&id("p1")].last_name.as_ref().unwrap().as_str(), "Nguyễn");
    assert_eq!(
        roster.notes,
        [
            "classes.csv, line 3: the title is shortened to \"Mathematics, a course with a title that is rather…\"",
            "1 enrollment has another role than student and teacher, and is ignored",
            "1 further teacher of a class is not stored: a class has one owner",
            "1 user is neither a teacher nor a student, and is ignored",
        ]
    );
}

#[test]
fn read_sds_gives_ids_of_class_and_user_to_enrollments() {
    let directory = directory(&[
        ("manifest.csv", ""),
        (
            "users.csv",
            "sourcedId,username,givenName,familyName,password,email\np1,linh,Linh,Nguyễn,secret,\nt1,t,Eva,Kern,,eva@school.example\np9,p,No,Class,,\n",
        ),
        ("roles.csv", "userSourcedId,orgSourcedId,role\np1,o1,student\nt1,o1,teacher\np9,o1,student\n"),
        ("classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds,courseSourcedId\nc1,o1,10A1,,\n"),
        (
            "enrollments.csv",
            "classSourcedId,userSourcedId,role\nc1,p1,student\nc1,t1,teacher\nc1,p1,student\n",
        ),
    ]);
    let roster = read(directory.path()).unwrap();
    assert_eq!(outline(&roster), ["c1 10A1 t1 p1=c1/p1"]);
    assert_eq!(roster.users.len(), 3);
    assert_eq!(roster.notes, ["1 enrollment repeats student and class of an earlier line, and is ignored"]);
}

#[test]
fn read_rows_that_the_system_deletes_count_as_absent() {
    let directory = directory(&[
        (
            "users.csv",
            "sourcedId,status,enabledUser,username,givenName,familyName,email\np1,tobedeleted,,a,A,B,\np2,active,false,a,A,B,\nt1,,,t,Eva,Kern,eva@school.example\n",
        ),
        ("classes.csv", "sourcedId,status,title\nc1,,10A1\nc2,tobedeleted,=1\n"),
        (
            "enrollments.csv",
            "sourcedId,status,classSourcedId,userSourcedId,role\ne1,,c1,p1,student\ne2,,c1,p2,student\ne3,,c2,t1,teacher\ne4,tobedeleted,c1,t1,teacher\n",
        ),
    ]);
    let roster = read(directory.path()).unwrap();
    assert_eq!(outline(&roster), ["c1 10A1 - "]);
    assert!(roster.users.is_empty());
}

#[test]
fn read_one_roster_1_1_takes_roles_of_users() {
    let directory = directory(&[
        ("manifest.csv", "propertyName,value\noneroster.version,1.1\nfile.enrollments,bulk\n"),
        (
            "users.csv",
            "sourcedId,status,enabledUser,role,username,givenName,familyName,email\np1,,1,student,a,A,B,\nt1,,1,teacher,t,E,K,e@school.example\nx1,,1,guardian,x,X,Y,\n",
        ),
        ("enrollments.csv", "sourcedId,classSourcedId,userSourcedId,role\n"),
    ]);
    let roster = read(directory.path()).unwrap();
    let roles: Vec<_> = roster.users.iter().map(|(id, person)| (id.as_str(), person.role)).collect();
    assert_eq!(roles, [("p1", Role::Student), ("t1", Role::Teacher)]);
}

#[test]
fn read_faulty_files_names_file_line_and_column() {
    for (name, text, expected) in [
        (
            "manifest.csv",
            "propertyName,value\noneroster.version,1.0\n",
            "manifest.csv, line 2, column 2 (value): must be 1.1 or 1.2",
        ),
        (
            "manifest.csv",
            "propertyName,value\nfile.users,delta\n",
            "manifest.csv, line 2, column 2 (value): is delta, and only complete files can be imported: export with bulk",
        ),
        (
            "manifest.csv",
            "propertyName,value\nfile.users,some\n",
            "manifest.csv, line 2, column 2 (value): must be bulk or absent",
        ),
        (
            "manifest.csv",
            "propertyName,value\nfile.users,absent\n",
            "users.csv, classes.csv and enrollments.csv are required, and at least one is missing",
        ),
        ("manifest.csv", "name,value\na,b\n", "manifest.csv, line 1: the header has no column propertyName"),
        (
            "manifest.csv",
            "propertyName;value\na;b,\"\n",
            "manifest.csv, line 2, column 2: has a quote; a cell with quotes must be in quotes, and its quotes doubled",
        ),
        (
            "users.csv",
            "",
            "users.csv, classes.csv and enrollments.csv are required, and at least one is missing",
        ),
        (
            "classes.csv",
            "",
            "users.csv, classes.csv and enrollments.csv are required, and at least one is missing",
        ),
        (
            "orgs.csv",
            "sourcedId\no1\no1\n",
            "orgs.csv, line 3, column 1 (sourcedId): is the id of an earlier line too",
        ),
        (
            "orgs.csv",
            "sourcedId,name\no2,a\n",
            "classes.csv, line 2, column 4 (schoolSourcedId): is not an id of the other file; classes.csv, line 3, column 4 (schoolSourcedId): is not an id of the other file",
        ),
        (
            "courses.csv",
            "sourcedId\n\"a\nb\"\n",
            "courses.csv, line 2, column 1 (sourcedId): must have 1 to 255 characters and no control character",
        ),
        (
            "classes.csv",
            "sourcedId,title,termSourcedIds\nc1,10A1,\"s1, s2\"\nc2,,\n",
            "classes.csv, line 3, column 2 (title): must have 1 to 50 characters, not only blanks, and no control character",
        ),
        (
            "classes.csv",
            "sourcedId,title\nc1,=1+1\nc2,'=b\n",
            "classes.csv, line 2, column 2 (title): must not begin with =, +, -, @, a tab or a line break",
        ),
        (
            "enrollments.csv",
            "sourcedId,classSourcedId,userSourcedId,role\ne1,c9,p1,student\ne2,c1,p9,student\ne3,c1,p1,\n,c1,p1,student\n",
            "enrollments.csv, line 2, column 2 (classSourcedId): is not an id of the other file; enrollments.csv, line 3, column 3 (userSourcedId): is not an id of the other file; enrollments.csv, line 4, column 4 (role): must not be empty; enrollments.csv, line 5, column 1 (sourcedId): must not be empty",
        ),
        (
            "enrollments.csv",
            "classSourcedId,userSourcedId,role\n",
            "enrollments.csv, line 1: the header has no column sourcedId",
        ),
        (
            "enrollments.csv",
            "sourcedId,status,classSourcedId,userSourcedId,role\ne1,deleted,c1,p1,student\n",
            "enrollments.csv, line 2, column 2 (status): must be empty, active or tobedeleted",
        ),
        (
            "enrollments.csv",
            "sourcedId,classSourcedId,userSourcedId,role\ne1,c1,t1,teacher\ne2,c1,t1,student\n",
            "classes.csv, line 2: the owner of the class is also its student in enrollments.csv",
        ),
        (
            "users.csv",
            "sourcedId,username,enabledUser,givenName,email\np1,a,maybe,=A,no address\np2,a,,,a@b.example\nt1,a,,,A@b.example\nt2,,,,\nx1,,,,\n",
            "users.csv, line 2, column 3 (enabledUser): must be empty, true or false; users.csv, line 2, column 5 (email): must be an e-mail address, local@domain, of 3 to 254 characters; users.csv, line 2, column 4 (givenName): must not begin with =, +, -, @, a tab or a line break; users.csv, line 4, column 5 (email): is the address on line 3 too",
        ),
        (
            "roles.csv",
            "userSourcedId,role\np1,\nzz,student\n",
            "roles.csv, line 2, column 2 (role): must not be empty; roles.csv, line 3, column 1 (userSourcedId): is not an id of the other file",
        ),
    ] {
        let directory = directory(&[(name, text)]);
        assert_eq!(faults(directory.path()), expected, "{text}");
    }
}

#[test]
fn read_faults_of_all_files_together() {
    let directory = directory(&[
        ("orgs.csv", "sourcedId\n\"a\n"),
        ("users.csv", "sourcedId\tusername\n"),
        ("classes.csv", "\n"),
    ]);
    assert_eq!(
        faults(directory.path()),
        "orgs.csv, line 2, column 1: has an opening quote without a closing one; \
         users.csv, line 1: the header has a tab; the columns must be separated by commas or semicolons; \
         classes.csv, file must begin with a header: the names of the columns"
            .replace("classes.csv, file", "classes.csv: file")
    );
    let missing = directory.path().join("missing");
    assert_eq!(faults(&missing), "the directory does not exist");
}
