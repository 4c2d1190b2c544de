//! What has been learnt: profiles, as they are listed, reviewed, approved and exchanged as files.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use ethogram_detect::{LearningState, MAX_FILE_BYTES, ProfileDiff, ProfileTree};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    extract::{PathPart, Query, RawBody},
    resource::{Answered, Answers, resource},
};
use crate::refusal::Refusal;

/// The profiles.
pub trait Profiles: Send + Sync + 'static {
    /// All profiles.
    fn profiles(&self) -> impl Answers<Vec<ProfileSummary>>;
    /// One profile, by its id or its workload's name.
    fn profile(&self, id: String) -> impl Answers<ProfileTree>;
    /// One profile as a file.
    fn profile_file(&self, id: String) -> impl Answers<String>;
    /// What differs from the profile `with` to the profile `id`; without `with`, from that of the image's version before it.
    fn diff_profiles(&self, id: String, with: Option<String>) -> impl Answers<ProfileDiff>;
    /// Imports a profile's file, approved: for the workload that it names or, with `any_digest`, for those versions of its
    /// image that are known here. Gives the profiles that were imported.
    fn import_profile(&self, file: String, any_digest: bool) -> impl Answers<Vec<ProfileSummary>>;
    /// A profile is right as it is, with what it has raised alerts of: nothing more is learnt.
    fn approve_profile(&self, id: String) -> impl Answers<ProfileSummary>;
    /// Forgets a profile, so that its workload is learnt anew. Gives it as it was.
    fn reset_profile(&self, id: String) -> impl Answers<ProfileSummary>;
}

resource!(Profiles: list, import up to MAX_FILE_BYTES, show, reset, file, diff, approve);

/// How far a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileState {
    /// What is new is added. Where the workload is another version of one that was learnt, severity high and above raises an alert.
    Learning,
    /// What is new is an alert, though the agent has seen only part: no start of a container, or events were lost.
    Partial,
    /// What is new is an alert.
    Stable,
    /// What is new is an alert, and there is much of it of late: the workload has changed.
    Drifted,
}

impl ProfileState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Learning, Self::Partial, Self::Stable, Self::Drifted];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => LearningState::Learning.name(),
            Self::Partial => LearningState::Partial.name(),
            Self::Stable => LearningState::Stable.name(),
            Self::Drifted => LearningState::Drifted.name(),
        }
    }
}

impl From<LearningState> for ProfileState {
    fn from(state: LearningState) -> Self {
        match state {
            LearningState::Learning => Self::Learning,
            LearningState::Partial => Self::Partial,
            LearningState::Stable => Self::Stable,
            LearningState::Drifted => Self::Drifted,
        }
    }
}

/// What is known of a workload, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileSummary {
    /// Its id.
    pub id: String,
    /// The workload's name.
    pub workload: String,
    /// The image's name.
    pub image: String,
    /// Whether it is being learnt.
    pub state: ProfileState,
    /// When learning began, RFC 3339.
    pub since: String,
    /// Seconds until learning ends; none once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_seconds_left: Option<u64>,
    /// Since when it is approved, RFC 3339; it learns nothing more from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// What it lacks to be stable, in words.
    #[serde(default)]
    pub missing: Vec<String>,
    /// In how many containers it was seen: exact for a few, an estimate for many.
    #[serde(default)]
    pub containers: u32,
    /// How often anything was seen.
    pub observations: u64,
    /// How many behaviours it holds.
    pub behaviours: u64,
    /// How many behaviours raised an alert.
    #[serde(default)]
    pub alerts: u64,
}

/// What has been learnt, in short.
#[utoipa::path(get, path = "/v1/profiles", responses((status = 200, body = Vec<ProfileSummary>)))]
pub(super) async fn list<B: Profiles>(State(agent): State<Arc<B>>) -> Answered<Json<Vec<ProfileSummary>>> {
    Ok(Json(agent.profiles().await?))
}

/// What has been learnt of one workload.
#[utoipa::path(get, path = "/v1/profiles/{id}",
    params(("id" = String, Path, description = "Its id, its workload, its image, or a container of it")),
    responses(
        (status = 200, body = Object, description = "What it does: by operation, executable and pattern"),
        (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Several answer to that", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn show<B: Profiles>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
) -> Answered<Json<ProfileTree>> {
    Ok(Json(agent.profile(id).await?))
}

/// A profile as a file, to be reviewed and kept: `PUT /v1/profiles` takes it.
#[utoipa::path(get, path = "/v1/profiles/{id}/file", params(("id" = String, Path, description = "The profile")), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Several answer to that", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn file<B: Profiles>(State(agent): State<Arc<B>>, PathPart(id): PathPart) -> Answered<Response> {
    let file = agent.profile_file(id).await?;
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
pub(super) async fn import<B: Profiles>(
    State(agent): State<Arc<B>>,
    Query(query): Query<ImportQuery>,
    RawBody(body): RawBody,
) -> Answered<Json<Vec<ProfileSummary>>> {
    let file = String::from_utf8(body.into()).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Refusal::Invalid(format!("the profile is not UTF-8 at byte {at}"))
    })?;
    Ok(Json(agent.import_profile(file, query.any_digest).await?))
}

/// Approves a profile as it is, with what raised alerts: it judges at once, and learns nothing more.
#[utoipa::path(post, path = "/v1/profiles/{id}/approve", params(("id" = String, Path, description = "The profile")),
    responses(
        (status = 200, body = ProfileSummary),
        (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing was learnt yet, or several answer to that", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn approve<B: Profiles>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
) -> Answered<Json<ProfileSummary>> {
    Ok(Json(agent.approve_profile(id).await?))
}

/// Forgets a profile, so that its workload is learnt anew.
#[utoipa::path(delete, path = "/v1/profiles/{id}", params(("id" = String, Path, description = "The profile")), responses(
    (status = 200, body = ProfileSummary, description = "The profile as it was"),
    (status = 404, description = "No such profile", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Several answer to that", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn reset<B: Profiles>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
) -> Answered<Json<ProfileSummary>> {
    Ok(Json(agent.reset_profile(id).await?))
}

/// With what a profile is compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// The profile that it is compared with; without it, that of the image's version before.
    with: Option<String>,
}

/// What a profile has that another one has not, and the other way round.
#[utoipa::path(get, path = "/v1/profiles/{id}/diff",
    params(("id" = String, Path, description = "The profile"), DiffQuery),
    responses(
        (status = 200, body = Object, description = "By operation and executable: what is `removed`, and what is `added`"),
        (status = 404, description = "No such profile, or no earlier one", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "Several answer to that", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn diff<B: Profiles>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
    Query(query): Query<DiffQuery>,
) -> Answered<Json<ProfileDiff>> {
    Ok(Json(agent.diff_profiles(id, query.with).await?))
}
