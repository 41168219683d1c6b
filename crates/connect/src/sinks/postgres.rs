//! PostgreSQL or TimescaleDB, in the reference's tables: `security_events` (a row an event, by its id) and
//! `detected_threats` (a row a finding).
//!
//! A batch goes by COPY into a temporary table and from there, without what is known, into the real one. With the
//! extension, `security_events` is a hypertable of one-day chunks, whose key has to include the time. A finding that is
//! told again replaces its row, one that is withdrawn is deleted. `detected_threats.event_id` names an event by its id
//! without a foreign key: the sink may be set to leave most events out.

use super::rows::{event_name, last_told, technique, without_nul};
use super::{ANSWER_MAX, Sink, SinkError, TechniqueName, Written, unavailable};
use event::cloudhawk::{level, threat_type};
use event::{Event, Finding};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use std::future::Future;
use std::str::FromStr;
use tokio::runtime::Runtime;

const EVENTS: &str = "
    CREATE TABLE IF NOT EXISTS security_events (
        time timestamptz NOT NULL, event_id text NOT NULL, event_name text, event_source text, aws_region text,
        source_ip text, user_name text, user_agent text, severity text NOT NULL, is_suspicious boolean NOT NULL,
        event_data jsonb NOT NULL";
const THREATS: &str = "
    CREATE TABLE IF NOT EXISTS detected_threats (
        id bigserial PRIMARY KEY, time timestamptz NOT NULL, event_id text, threat_type text NOT NULL,
        severity text NOT NULL, description text NOT NULL, mitre_attack text, user_name text, source_ip text,
        additional_data jsonb NOT NULL);
    CREATE INDEX IF NOT EXISTS detected_threats_time ON detected_threats (time DESC);
    CREATE UNIQUE INDEX IF NOT EXISTS detected_threats_finding ON detected_threats ((additional_data ->> 'finding_id'))";
const EVENT_COLUMNS: &str = "time, event_id, event_name, event_source, aws_region, source_ip, user_name, user_agent, severity, \
                             is_suspicious, event_data";
const THREAT_COLUMNS: &str = "time, event_id, threat_type, severity, description, mitre_attack, user_name, source_ip, additional_data";

pub(super) struct Postgres {
    options: PgConnectOptions,
    technique: TechniqueName,
    runtime: Runtime,
    connection: Option<PgConnection>,
}

impl Postgres {
    pub fn new(url: String, technique: TechniqueName) -> Result<Self, SinkError> {
        // The error of a bad URL may quote the password.
        let options = PgConnectOptions::from_str(&url).map_err(|_| SinkError::Refused("the url cannot be read".into()))?;
        let options = options.application_name("erne").disable_statement_logging();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        Ok(Self { options, technique, runtime, connection: None })
    }

    /// Runs one transaction; a connection that failed is given up.
    fn run(&mut self, copied: &Copied<'_>) -> Written {
        if self.connection.is_none() {
            self.prepare()?;
        }
        let Some(mut connection) = self.connection.take() else { return Err(unavailable("not connected")) };
        let result = self.runtime.block_on(timed(write(&mut connection, copied)));
        match result {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(Vec::new())
            }
            Err(error @ SinkError::Refused(_)) => {
                self.connection = Some(connection);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

impl Sink for Postgres {
    fn prepare(&mut self) -> Result<(), SinkError> {
        self.connection = None;
        let options = self.options.clone();
        let ready = async move {
            let mut connection = options.connect().await.map_err(sorted)?;
            make_tables(&mut connection).await.map_err(sorted)?;
            Ok(connection)
        };
        self.connection = Some(self.runtime.block_on(timed(ready))?);
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = String::new();
        for event in events {
            event_line(event, &mut text);
        }
        self.run(&Copied {
            table: "security_events",
            columns: EVENT_COLUMNS,
            text: &text,
            conflict: "ON CONFLICT DO NOTHING",
            withdrawn: &[],
        })
    }

    fn findings(&mut self, findings: &[Finding]) -> Written {
        // COPY and INSERT see each id once.
        let told = last_told(findings);
        if told.kept.is_empty() && told.gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = String::new();
        for (_, finding) in told.kept {
            threat_line(finding, &self.technique, &mut text);
        }
        self.run(&Copied {
            table: "detected_threats",
            columns: THREAT_COLUMNS,
            text: &text,
            conflict: "ON CONFLICT ((additional_data ->> 'finding_id')) DO UPDATE SET time = excluded.time, event_id = excluded.event_id, \
                       severity = excluded.severity, description = excluded.description, user_name = excluded.user_name, \
                       source_ip = excluded.source_ip, additional_data = excluded.additional_data",
            withdrawn: &told.gone,
        })
    }
}

struct Copied<'a> {
    table: &'static str,
    columns: &'static str,
    text: &'a str,
    conflict: &'static str,
    /// Findings whose rows go.
    withdrawn: &'a [String],
}

async fn timed<T>(work: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
    tokio::time::timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| Err(unavailable(format!("no answer within {} s", ANSWER_MAX.as_secs()))))
}

async fn make_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let timescale: i64 = sqlx::query("SELECT COUNT(*) FROM pg_extension WHERE extname = 'timescaledb'").fetch_one(&mut *connection).await?.try_get(0)?;
    let key = if timescale > 0 { "event_id, time" } else { "event_id" };
    let events = format!(
        "{EVENTS}, PRIMARY KEY ({key}));
        CREATE INDEX IF NOT EXISTS security_events_time ON security_events (time DESC)"
    );
    // Two sinks that start at once would both make the tables: one waits for the other.
    let mut tx = connection.begin().await?;
    tx.execute("SELECT pg_advisory_xact_lock(7310577)").await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(events)).execute(&mut *tx).await?;
    if timescale > 0 {
        tx.execute("SELECT create_hypertable('security_events', 'time', chunk_time_interval => INTERVAL '1 day', if_not_exists => TRUE)").await?;
    }
    sqlx::raw_sql(THREATS).execute(&mut *tx).await?;
    tx.commit().await
}

async fn write(connection: &mut PgConnection, copied: &Copied<'_>) -> Result<(), SinkError> {
    let Copied { table, columns, text, conflict, withdrawn } = copied;
    let mut tx = connection.begin().await.map_err(sorted)?;
    if !withdrawn.is_empty() {
        let delete = "DELETE FROM detected_threats WHERE additional_data ->> 'finding_id' = ANY($1)";
        sqlx::query(delete).bind(withdrawn.to_vec()).execute(&mut *tx).await.map_err(sorted)?;
    }
    if !text.is_empty() {
        let make = format!("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA");
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut *tx).await.map_err(sorted)?;
        let mut copy = tx.copy_in_raw("COPY incoming FROM STDIN").await.map_err(sorted)?;
        copy.send(text.as_bytes()).await.map_err(sorted)?;
        copy.finish().await.map_err(sorted)?;
        let insert = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM incoming {conflict}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut *tx).await.map_err(sorted)?;
    }
    tx.commit().await.map_err(sorted)
}

/// Data that the server cannot take is the batch's fault (SQLSTATE classes 21, 22 and 23); all else is the server's.
fn sorted(error: sqlx::Error) -> SinkError {
    let about_data = error.as_database_error().and_then(|e| e.code()).is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23")));
    if about_data { SinkError::Refused(error.to_string()) } else { unavailable(error) }
}

fn event_line(event: &Event, out: &mut String) {
    let ocsf = &event.ocsf;
    let mut data = event.to_json();
    without_nul(&mut data);
    line(
        out,
        &[
            Some(&event.time.to_string()),
            Some(&event.uid),
            event_name(event),
            ocsf.api_service.as_deref().or(ocsf.product.as_deref()),
            ocsf.cloud_region.as_deref(),
            ocsf.src.ip.as_deref(),
            ocsf.user_name.as_deref(),
            ocsf.http.user_agent.as_deref(),
            Some(level(event.severity)),
            Some(if event.is_threat() { "t" } else { "f" }),
            Some(&data.to_string()),
        ],
    );
}

fn threat_line(finding: &Finding, name: &TechniqueName, out: &mut String) {
    let mut data: Value = json!({
        "finding_id": finding.id, "rule_id": finding.rule.id, "rule_name": finding.rule.name, "status": finding.status,
        "revision": finding.revision, "entity": finding.entity, "event_ids": finding.event_ids, "event_count": finding.event_count,
        "window": finding.window, "techniques": finding.rule.techniques, "explanation": finding.explanation,
    });
    without_nul(&mut data);
    line(
        out,
        &[
            Some(&finding.time.to_string()),
            finding.event_ids.last().map(|id| id.as_str()),
            Some(&threat_type(&finding.rule.name)),
            Some(level(finding.level)),
            Some(&finding.explanation.summary),
            technique(&finding.rule, name).as_deref(),
            finding.user.as_deref(),
            finding.source_ip.as_deref(),
            Some(&data.to_string()),
        ],
    );
}

/// One line of COPY's text format.
fn line(out: &mut String, fields: &[Option<&str>]) {
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push('\t');
        }
        let Some(text) = field else {
            out.push_str("\\N");
            continue;
        };
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\0' => out.push('\u{FFFD}'),
                c => out.push(c),
            }
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_a_field_or_a_line_of_copy() {
        let mut out = String::new();
        line(&mut out, &[Some("a\tb\\N"), None, Some("x\r\ny\0"), Some("")]);
        assert_eq!(out, "a\\tb\\\\N\t\\N\tx\\r\\ny\u{FFFD}\t\n");
    }
}
