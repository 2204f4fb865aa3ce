//! Prints classes and their students.

use std::io;

use anyhow::Context;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::RosterFormat;
use crate::{
    classroom::class_administration::{Details, Student, StudentReader},
    cli::{
        listing::{Format, column, time},
        output_error, say,
    },
    csv_table::Writer,
    db::Db,
    domain::{
        class_settings::ClassSettings, description::ClassDescription, id::ClassId, max_students::MaxStudents,
        person::PersonName, sourced_id::SourcedId,
    },
    entity::{class, enrollment::Status, join_code},
};

/// Prints the line of a class.
pub fn row(class: &class::Model, format: Format) -> anyhow::Result<()> {
    format.say(|| summary(class), || to_json(class))
}

/// Prints a class with all its properties.
pub fn show(details: &Details, format: Format) -> anyhow::Result<()> {
    let Details { class, owner, students, join_code } = details;
    if format.json {
        let mut json = to_json(class);
        json["owner"] = owner.as_ref().map(|owner| owner.email.as_str()).into();
        json["students"] = students
            .iter()
            .map(|(status, count)| (status.to_value(), json!(count)))
            .collect::<Map<_, _>>()
            .into();
        json["joinCode"] = join_code.as_ref().map(code_json).unwrap_or_default();
        return say(&json.to_string());
    }
    say(&summary(class))?;
    let owner = owner.as_ref().map(|owner| owner.email.as_str().to_owned());
    let max = class.max_students.map_or_else(|| "no limit".to_owned(), |max| max.get().to_string());
    let properties = [
        ("owner", owner),
        ("description", class.description.as_ref().map(|text| column(text.as_str()))),
        ("settings", class.settings.as_ref().map(|settings| settings.clone().into_value().to_string())),
        ("maximum of students", Some(max)),
        ("approval", Some(if class.requires_approval { "required" } else { "not required" }.to_owned())),
        ("id of the school", class.sourced_id.as_ref().map(|id| column(id.as_str()))),
        ("created", Some(time(class.created_at))),
        ("changed", Some(time(class.updated_at))),
    ];
    for (name, value) in properties {
        if let Some(value) = value {
            say(&format!("\t{name}\t{value}"))?;
        }
    }
    for (status, count) in students {
        say(&format!("\t{} students\t{count}", status.to_value()))?;
    }
    if let Some(join_code::Model { code, expires_at, joins, .. }) = join_code {
        say(&format!(
            "\tjoin code\t{}\tvalid until {}\tused {joins} times",
            code.expose(),
            time(*expires_at)
        ))?;
    }
    Ok(())
}

/// Prints the students of a class, in pages, so that a roster of any length needs little memory.
pub async fn roster(
    db: &Db,
    class: ClassId,
    statuses: &[Status],
    format: RosterFormat,
) -> anyhow::Result<()> {
    let mut csv = format.csv.then(|| Writer::new(io::stdout()));
    if let Some(csv) = &mut csv {
        let header = ["studentId", "lastName", "firstName", "email", "passwordState", "status", "enrolledAt"];
        csv.row(header).map_err(output_error)?;
    }
    for status in statuses {
        let mut reader = StudentReader::new(db.clone(), class, *status);
        loop {
            let students = reader.next().await.context("reading the students")?;
            if students.is_empty() {
                break;
            }
            for student in &students {
                match &mut csv {
                    Some(csv) => csv.row(cells(student).iter().map(String::as_str)).map_err(output_error)?,
                    None if format.json => say(&student_json(student).to_string())?,
                    None => say(&cells(student).map(|cell| column(&cell)).join("\t"))?,
                }
            }
        }
    }
    csv.map_or(Ok(()), Writer::finish).map_err(output_error)
}

fn summary(class: &class::Model) -> String {
    let state = if class.is_active { "active" } else { "inactive" };
    format!("{}\t{}\t{}\t{state}", class.id, class.owner_id, class.name.as_str())
}

fn to_json(class: &class::Model) -> Value {
    let class::Model {
        id,
        owner_id,
        name,
        description,
        settings,
        is_active,
        created_at,
        updated_at,
        name_key: _,
        max_students,
        requires_approval,
        version,
        sourced_id,
        left_roster,
    } = class;
    json!({
        "id": id,
        "ownerId": owner_id,
        "name": name.as_str(),
        "description": description.as_ref().map(ClassDescription::as_str),
        "settings": settings.clone().map(ClassSettings::into_value),
        "isActive": is_active,
        "createdAt": time(*created_at),
        "updatedAt": time(*updated_at),
        "maxStudents": max_students.map(MaxStudents::get),
        "requiresApproval": requires_approval,
        "version": version,
        "sourcedId": sourced_id.as_ref().map(SourcedId::as_str),
        "leftRoster": left_roster,
    })
}

fn code_json(join_code: &join_code::Model) -> Value {
    let join_code::Model { class_id: _, code, expires_at, created_at, joins } = join_code;
    json!({
        "code": code.expose(),
        "createdAt": time(*created_at),
        "expiresAt": time(*expires_at),
        "joins": joins,
    })
}

/// The columns of a student.
fn cells((enrollment, user): &Student) -> [String; 7] {
    let name =
        |name: &Option<PersonName>| name.as_ref().map_or_else(String::new, |name| name.as_str().to_owned());
    [
        user.id.to_string(),
        name(&user.last_name),
        name(&user.first_name),
        user.email.as_str().to_owned(),
        user.password_state.to_value(),
        enrollment.status.to_value(),
        enrollment.enrolled_at.to_string(),
    ]
}

fn student_json((enrollment, user): &Student) -> Value {
    json!({
        "studentId": user.id,
        "lastName": user.last_name.as_ref().map(PersonName::as_str),
        "firstName": user.first_name.as_ref().map(PersonName::as_str),
        "email": user.email.as_str(),
        "schoolAccount": user.school_account,
        "passwordState": user.password_state.to_value(),
        "status": enrollment.status.to_value(),
        "origin": enrollment.origin.to_value(),
        "enrolledAt": enrollment.enrolled_at.to_string(),
    })
}
