use super::Items;
use crate::app::App;
use crate::params::{BUCKET_SECS, HOURS, Params};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use engine::{Bucket, Marker, Technique, Top, Totals};
use serde::Serialize;

const BUCKETS_MAX: u64 = 1440;

#[derive(Serialize)]
pub struct Overview {
    #[serde(flatten)]
    totals: Totals,
    notices: Vec<String>,
}

pub async fn overview(State(app): State<App>) -> Json<Overview> {
    Json(Overview { totals: app.platform.totals(), notices: app.platform.readiness().notices })
}

pub async fn timeline(State(app): State<App>, params: Params) -> Result<Json<Items<Bucket>>, Problem> {
    let hours = params.number(&HOURS, 24, 1..=24)?;
    let bucket_secs = params.number(&BUCKET_SECS, 300, 60..=86_400)?;
    if bucket_secs % 60 != 0 || hours * 3600 / bucket_secs > BUCKETS_MAX {
        return Err(Problem::bad_request("bucket_secs is a multiple of 60"));
    }
    Ok(Json(Items { items: app.platform.timeline(hours as u32, bucket_secs as u32) }))
}

pub async fn top_users(State(app): State<App>, params: Params) -> Result<Json<Items<Top>>, Problem> {
    Ok(Json(Items { items: app.platform.top_users(params.limit()?) }))
}

pub async fn top_ips(State(app): State<App>, params: Params) -> Result<Json<Items<Top>>, Problem> {
    Ok(Json(Items { items: app.platform.top_ips(params.limit()?) }))
}

pub async fn coverage(State(app): State<App>) -> Json<Items<Technique>> {
    Json(Items { items: app.platform.coverage() })
}

pub async fn markers(State(app): State<App>) -> Json<Items<Marker>> {
    Json(Items { items: app.platform.markers() })
}
