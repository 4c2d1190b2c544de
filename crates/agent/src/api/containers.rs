//! Which containers there are.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use ethogram_model::Container;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem, ProfileSummary,
    extract::PathPart,
    resource::{Answered, Answers, resource},
};
use crate::response::ResponseRecord;

/// The containers.
pub trait Containers: Send + Sync + 'static {
    /// Those that run now.
    fn containers(&self) -> impl Answers<Vec<Arc<Container>>>;
    /// One of them, by its name, its id or the start of that, with what is known of it.
    fn container(&self, id: String) -> impl Answers<ContainerDetails>;
}

resource!(Containers: containers, container);

/// A container, with what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContainerDetails {
    /// What the list of containers has of it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub container: Container,
    /// Its cgroup, below where the hierarchy is mounted; none once it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Whether its processes are frozen.
    pub frozen: bool,
    /// The profile of its workload; none until its image is known and it did something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileSummary>,
    /// How many alerts are kept of it.
    pub alerts: u64,
    /// Responses to it that go on.
    pub responses: Vec<ResponseRecord>,
    /// Its processes, the oldest first.
    pub processes: Vec<ContainerProcess>,
}

/// A process in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerProcess {
    /// Its pid on the host.
    pub pid: u32,
    /// Its pid in the container; zero where that is not known.
    pub namespace_pid: u32,
    /// The parent's pid on the host.
    pub parent_pid: u32,
    /// The real user's id.
    pub user_id: u32,
    /// What the container calls that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The path of its program in the container.
    pub executable: String,
    /// Its arguments, secrets masked.
    pub args: Vec<String>,
}

/// The containers that run now.
#[utoipa::path(get, path = "/v1/containers", responses((status = 200, body = Vec<serde_json::Value>)))]
pub(super) async fn containers<B: Containers>(State(agent): State<Arc<B>>) -> Answered<Response> {
    Ok(Json(agent.containers().await?).into_response())
}

/// A container that runs now, with its processes, its profile, and what is done about it.
#[utoipa::path(get, path = "/v1/containers/{id}",
    params(("id" = String, Path, description = "Its name, its id, or at least four characters of the start of that")),
    responses(
        (status = 200, body = ContainerDetails),
        (status = 404, description = "No such container", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Several answer to that", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn container<B: Containers>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
) -> Answered<Json<ContainerDetails>> {
    Ok(Json(agent.container(id).await?))
}
