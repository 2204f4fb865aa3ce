//! A teacher generates a join code, and a student joins with it. The teacher also creates, changes and deletes a class.

use homeroom::{Client, Error, ResponseValue, types};
use types::{
    ClassEnrollmentStatus, ClassroomErrorCode, SignInErrorCode, SignInErrors, SignInService, TokenGrantType,
};

/// The client that progenitor generates from the copy of the contract that `build.rs` makes.
mod homeroom {
    progenitor::generate_api!(spec = { path = "openapi.yaml", relative_to = OutDir }, interface = Builder);
}

const APP: &str = "11111111-1111-1111-1111-111111111111";
const CALLBACK: &str = "https://app.example.com/callback";
const CLASS: &str = "22222222-2222-2222-2222-222222222222";
const OTHER_CLASS: &str = "33333333-3333-3333-3333-333333333333";

type ClientResult<T, E> = Result<ResponseValue<T>, Error<E>>;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let url = std::env::var("HOMEROOM_URL")?;
    let anonymous = Client::new(&url);

    let failure = refused(400, code(&anonymous, "user@example.com", "not-the-password").await)?;
    assert_eq!(failure.errors[0].code, SignInErrorCode::E4000);

    let teacher = sign_in(&url, "user@example.com").await?;
    let generated = teacher.generate_join_code().class_id(CLASS).send().await?.into_inner().data;

    let failure = refused(403, teacher.generate_join_code().class_id(OTHER_CLASS).send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::Forbidden);
    let failure = refused(404, teacher.generate_join_code().class_id("unknown").send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::ClassNotFound);
    let failure = refused(401, anonymous.generate_join_code().class_id(CLASS).send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::Unauthorized);

    let student = sign_in(&url, "student@example.com").await?;
    let joined = student.join_class_by_code().join_code(generated.join_code.as_str()).send().await?;
    assert_eq!(joined.status(), 201);
    assert_eq!(joined.data.status, ClassEnrollmentStatus::Active);

    let failure =
        refused(409, student.join_class_by_code().join_code(generated.join_code.as_str()).send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::AlreadyEnrolled);
    let failure = refused(400, student.join_class_by_code().join_code("unknown").send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::InvalidJoinCode);

    let class = teacher.get_class_by_id().class_id(CLASS).send().await?.into_inner().data;
    assert_eq!(class.join_code.as_deref(), Some(&*generated.join_code), "the owner sees the join code");
    let class = student.get_class_by_id().class_id(CLASS).send().await?.into_inner().data;
    assert_eq!(class.join_code, None, "a student sees no join code");

    list_leave_and_remove(&teacher, &student).await?;

    make_accounts(&teacher, &anonymous).await?;

    let current = teacher.get_join_code().class_id(CLASS).send().await?.into_inner().data;
    assert_eq!((current.join_code.as_str(), current.joins), (generated.join_code.as_str(), 1));
    assert_eq!(teacher.revoke_join_code().class_id(CLASS).send().await?.status(), 204);
    let failure = refused(404, teacher.get_join_code().class_id(CLASS).send().await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::JoinCodeNotFound);
    create_change_and_delete(&teacher).await
}

/// Lists the student as owner and as student. The student leaves, is taken back, and is removed.
async fn list_leave_and_remove(teacher: &Client, student: &Client) -> Outcome<()> {
    let [row] = &teacher.get_students_by_class_id().class_id(CLASS).send().await?.into_inner().data[..]
    else {
        return Err("the class has one student".into());
    };
    let id = row.id.to_string();
    assert!(row.enrollment_date.is_some(), "the owner sees whole rows");
    let seen = student.get_students_by_class_id().class_id(CLASS).send().await?.into_inner().data;
    assert_eq!(seen[0].enrollment_date, None, "students see names");
    let admitted = teacher.admit_student().class_id(CLASS).student_id(&id).send().await?;
    assert_eq!(admitted.status(), 200);
    assert_eq!(student.leave_class().class_id(CLASS).send().await?.status(), 204);
    let left = teacher.get_students_by_class_id().class_id(CLASS).status("dropped").send().await?;
    assert_eq!(left.pagination.total_items, 1);
    let body = types::UpdateStudentRequest::builder()
        .status("active".parse::<types::UpdateStudentRequestStatus>().ok());
    let back = teacher.update_student().student_id(&id).body(body).send().await?.into_inner().data;
    assert_eq!(back.status.as_deref().map(String::as_str), Some("active"));
    let removed = teacher.remove_student_from_class().class_id(CLASS).student_id(&id).send().await?;
    assert_eq!(removed.status(), 204);
    Ok(())
}

/// Makes an account for a student without e-mail, whose password must be changed at the first sign-in, and resets the password.
async fn make_accounts(teacher: &Client, anonymous: &Client) -> Outcome<()> {
    let body = types::CreateStudentRequest::builder().first_name("Linh").last_name("Nguyen");
    let student =
        teacher.create_and_enroll_student().class_id(CLASS).body(body).send().await?.into_inner().data;
    let (Some(user_name), Some(password)) = (&student.username, &student.password) else {
        return Err("the answer has the credentials".into());
    };
    assert_eq!(user_name.as_str(), "linh.nguyen@students.example.com");
    let failure = refused(400, code(anonymous, user_name, password).await)?;
    assert!(failure.errors[0].message.starts_with("newPassword is required"));
    let id = student.id.to_string();
    let ids = vec![id.parse::<types::BulkCreateStudentAccountsRequestStudentIdsItem>()?];
    let body = types::BulkCreateStudentAccountsRequest::builder().student_ids(ids);
    let bulk =
        teacher.bulk_create_student_accounts().class_id(CLASS).body(body).send().await?.into_inner().data;
    assert_eq!((bulk.total_created, bulk.total_failed), (0, 1));
    let reset =
        teacher.reset_student_password().class_id(CLASS).student_id(&id).send().await?.into_inner().data;
    assert_ne!(reset.password, student.password);
    Ok(())
}

/// Creates a class, changes it once with its `ETag` and once with the previous one, finds it, and deletes it.
async fn create_change_and_delete(teacher: &Client) -> Outcome<()> {
    let body = types::CreateClassRequest::builder().name("10B1");
    let created = teacher.create_class().body(body).send().await?;
    let tag = created.headers().get("etag").ok_or("the class has no ETag")?.to_str()?.to_owned();
    let id = created.into_inner().data.id.to_string();
    let rename = |name: &str| {
        let body =
            types::UpdateClassRequest::builder().name(name.parse::<types::UpdateClassRequestName>().ok());
        teacher.update_class().class_id(&id).if_match(tag.as_str()).body(body).send()
    };
    let changed = rename("10B1 Mathematics").await?.into_inner().data;
    assert_eq!(*changed.name, "10B1 Mathematics");
    let failure = refused(412, rename("10B1 Maths").await)?;
    assert_eq!(failure.error_code, ClassroomErrorCode::PreconditionFailed);
    let page =
        teacher.get_classes().search("10b").sort("name-asc").is_active(true).send().await?.into_inner();
    assert_eq!((page.data.len(), page.pagination.total_items), (1, 1));
    assert_eq!(teacher.delete_class().class_id(&id).send().await?.status(), 204);
    Ok(())
}

/// Signs in. createCode returns a URL with a code, and createToken exchanges the code once for an access token.
async fn sign_in(url: &str, email: &str) -> Outcome<Client> {
    let anonymous = Client::new(url);
    let [code] = code(&anonymous, email, "VeryStrongPass123!").await?.into_inner().items;
    let next = reqwest::Url::parse(&code.next_action.url)?;
    let query = |name| next.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());

    let request = types::CreateTokenRequest::builder()
        .client_id(APP)
        .service(SignInService::Email)
        .grant_type(TokenGrantType::AuthorizationCode)
        .redirect_uri(CALLBACK.parse::<types::CreateTokenRequestRedirectUri>()?)
        .code(query("code").ok_or("the URL has no code")?.parse::<types::CreateTokenRequestCode>()?)
        .state(query("state").ok_or("the URL has no state")?.parse::<types::CreateTokenRequestState>()?);
    let mismatch = request.clone().state("another-state".parse::<types::CreateTokenRequestState>()?);
    let failure = refused(400, anonymous.create_token().body(mismatch).send().await)?;
    assert_eq!(failure.errors[0].code, SignInErrorCode::E4000);

    let [token] = anonymous.create_token().body(request).send().await?.into_inner().items;

    let bearer = format!("{} {}", token.token_type, *token.access_token).parse()?;
    let headers = [(reqwest::header::AUTHORIZATION, bearer)].into_iter().collect();
    Ok(Client::new_with_client(url, reqwest::Client::builder().default_headers(headers).build()?))
}

async fn code(
    client: &Client,
    email: &str,
    password: &str,
) -> ClientResult<types::IssuedCodeList, SignInErrors> {
    let body = types::CreateCodeRequest::builder()
        .app_uuid(APP.parse::<types::CreateCodeRequestAppUuid>().ok())
        .email(email)
        .password(password)
        .state("state-from-client")
        .redirect_uri(CALLBACK);
    client.create_code().body(body).send().await
}

/// The body of an error response, which must have this status.
fn refused<T, E: std::fmt::Debug>(status: u16, result: ClientResult<T, E>) -> Result<E, String> {
    match result {
        Err(Error::ErrorResponse(failure)) if failure.status() == status => Ok(failure.into_inner()),
        Err(other) => Err(format!("expected {status}, got {other:?}")),
        Ok(success) => Err(format!("expected {status}, got {}", success.status())),
    }
}
