//! What has been learnt, as it is asked for, reviewed and given back.

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use ethogram_detect::{ProfileDiff, ProfileTree};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Problem, ProfileSummary,
    routes::{Answered, Engine},
};

/// What has been learnt, in short.
#[utoipa::path(get, path = "/v1/profiles", responses((status = 200, body = Vec<ProfileSummary>)))]
pub(super) async fn list(State(engine): Engine) -> Answered<Json<Vec<ProfileSummary>>> {
    Ok(Json(engine.profiles().await?))
}

/// What has been learnt of one workload.
#[utoipa::path(get, path = "/v1/profiles/{id}",
    params(("id" = String, Path, description = "Its id, its workload, its image, or a container of it")),
    responses(
        (status = 200, body = Object, description = "What it does: by operation, executable and pattern"),
        (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(State(engine): Engine, Path(id): Path<String>) -> Answered<Json<ProfileTree>> {
    Ok(Json(engine.profile(id).await?))
}

/// A profile as a file, to be reviewed and kept: `PUT /v1/profiles` takes it.
#[utoipa::path(get, path = "/v1/profiles/{id}/file", params(("id" = String, Path, description = "The profile")), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn file(State(engine): Engine, Path(id): Path<String>) -> Answered<Response> {
    let file = engine.profile_file(id).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], file).into_response())
}

/// For whom a file is taken up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Whether it also is for other contents of the image that it names, those that are known here.
    #[serde(default)]
    any_digest: bool,
}

/// Takes up a profile's file, in the place of the profile that there is. It is approved: it judges at once, and learns nothing more.
#[utoipa::path(put, path = "/v1/profiles", params(ImportQuery),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, body = Vec<ProfileSummary>, description = "The profiles that were taken up"),
        (status = 409, description = "It is of another image, or owner, than runs here", body = Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "Larger than 8 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No usable profile", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn import(
    State(engine): Engine,
    query: Result<Query<ImportQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answered<Json<Vec<ProfileSummary>>> {
    let Query(ImportQuery { any_digest }) = query?;
    let file = String::from_utf8(body?.into()).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the profile is not UTF-8 at byte {at}"))
    })?;
    Ok(Json(engine.import_profile(file, any_digest).await?))
}

/// Says that a profile is right as it is, with what was told of it: it judges at once, and learns nothing more.
#[utoipa::path(post, path = "/v1/profiles/{id}/approve", params(("id" = String, Path, description = "The profile")),
    responses(
        (status = 200, body = ProfileSummary),
        (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing was learnt yet", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn approve(State(engine): Engine, Path(id): Path<String>) -> Answered<Json<ProfileSummary>> {
    Ok(Json(engine.approve_profile(id).await?))
}

/// Forgets a profile, so that its workload is learnt anew.
#[utoipa::path(delete, path = "/v1/profiles/{id}", params(("id" = String, Path, description = "The profile")), responses(
    (status = 200, body = ProfileSummary, description = "The profile as it was"),
    (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn reset(State(engine): Engine, Path(id): Path<String>) -> Answered<Json<ProfileSummary>> {
    Ok(Json(engine.reset_profile(id).await?))
}

/// With what a profile is compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// The profile from which on it is told what differs; without it, that of the version of the image before.
    with: Option<String>,
}

/// What a profile has that another one has not, and the other way round.
#[utoipa::path(get, path = "/v1/profiles/{id}/diff",
    params(("id" = String, Path, description = "The profile"), DiffQuery),
    responses(
        (status = 200, body = Object, description = "By operation and executable: what is `removed`, and what is `added`"),
        (status = 404, description = "No such profile, or no earlier one", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn diff(
    State(engine): Engine,
    Path(id): Path<String>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> Answered<Json<ProfileDiff>> {
    let Query(DiffQuery { with }) = query?;
    Ok(Json(engine.diff_profiles(id, with).await?))
}
