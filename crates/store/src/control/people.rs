//! Users, their sessions, and API keys.

use super::sql::{Row, Sql, query};
use super::{ApiKey, Control, ControlError, Role, Session, User, failed};
use event::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Logins of one user at a time; the one that ends first makes room.
const SESSIONS_PER_USER_MAX: i64 = 50;
/// `last_used` of a key is written at most this often.
const KEY_USE_EVERY_SECS: i64 = 60;

impl Control {
    pub async fn user(&self, name: &str) -> Result<Option<User>, ControlError> {
        let row = text_query("SELECT name, role, password_hash, created FROM person WHERE name = $1", &[name]);
        row.fetch_optional(&self.read).await?.map(|row| read_user(&row, 0)).transpose()
    }

    /// By name.
    pub async fn users(&self) -> Result<Vec<User>, ControlError> {
        let rows = query("SELECT name, role, password_hash, created FROM person ORDER BY name");
        rows.fetch_all(&self.read).await?.iter().map(|row| read_user(row, 0)).collect()
    }

    /// Creates or replaces.
    pub async fn put_user(&self, user: &User) -> Result<(), ControlError> {
        let put = "INSERT INTO person (name, role, password_hash, created) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (name) DO UPDATE SET role = excluded.role,
                       password_hash = excluded.password_hash, created = excluded.created";
        let put = text_query(put, &[&user.name, user.role.as_str(), &user.password_hash]);
        put.bind(user.created.0).execute(&self.write).await?;
        Ok(())
    }

    /// Deletes the user and ends their sessions.
    pub async fn delete_user(&self, name: &str) -> Result<(), ControlError> {
        let delete = text_query("DELETE FROM person WHERE name = $1", &[name]);
        let deleted = delete.execute(&self.write).await?;
        if deleted == 0 { Err(ControlError::NotFound("user")) } else { Ok(()) }
    }

    /// Also forgets sessions that are over, and the user's oldest ones beyond 50.
    pub async fn put_session(&self, session: &Session) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64);
        query("DELETE FROM session WHERE expires <= $1").bind(now).execute(&mut tx).await?;
        let put = "INSERT INTO session (token_hash, person, csrf, expires) VALUES ($1, $2, $3, $4)";
        let put = text_query(put, &[&session.token_hash, &session.user, &session.csrf]);
        put.bind(session.expires.0).try_execute(&mut tx).await.map_err(|e| named(e, "session"))?;
        let trim = "DELETE FROM session WHERE person = $1 AND token_hash IN (
                        SELECT token_hash FROM session WHERE person = $1
                        ORDER BY expires DESC, token_hash LIMIT 1000 OFFSET $2)";
        text_query(trim, &[&session.user]).bind(SESSIONS_PER_USER_MAX).execute(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// A session that is not over, with its user as they are now.
    pub async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<(Session, User)>, ControlError> {
        let select = "SELECT token_hash, person, csrf, expires, name, role, password_hash, created
                      FROM session JOIN person ON person.name = session.person
                      WHERE token_hash = $1 AND expires > $2";
        let row = text_query(select, &[token_hash]).bind(now.0).fetch_optional(&self.read).await?;
        row.map(|row| Ok((read_session(&row)?, read_user(&row, 4)?))).transpose()
    }

    pub async fn delete_session(&self, token_hash: &str) -> Result<(), ControlError> {
        let delete = text_query("DELETE FROM session WHERE token_hash = $1", &[token_hash]);
        delete.execute(&self.write).await?;
        Ok(())
    }

    /// Ends all of a user's sessions.
    pub async fn delete_sessions_of(&self, user: &str) -> Result<(), ControlError> {
        text_query("DELETE FROM session WHERE person = $1", &[user]).execute(&self.write).await?;
        Ok(())
    }

    pub async fn put_key(&self, key: &ApiKey) -> Result<(), ControlError> {
        let put = "INSERT INTO api_key (id, name, scopes, hash, created_by, created, last_used)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let scopes = key.scopes.join(" ");
        let put = text_query(put, &[&key.id, &key.name, &scopes, &key.hash, &key.created_by]);
        let put = put.bind(key.created.0).bind(key.last_used.map(|t| t.0));
        put.try_execute(&self.write).await.map_err(|e| named(e, "key"))?;
        Ok(())
    }

    /// Oldest first.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ControlError> {
        let rows = query(
            "SELECT id, name, scopes, hash, created, created_by, last_used FROM api_key ORDER BY created, id",
        );
        rows.fetch_all(&self.read).await?.iter().map(read_key).collect()
    }

    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, ControlError> {
        let select = "SELECT id, name, scopes, hash, created, created_by, last_used FROM api_key WHERE hash = $1";
        let row = text_query(select, &[hash]).fetch_optional(&self.read).await?;
        row.as_ref().map(read_key).transpose()
    }

    /// Notes that a key was used; cheap to call with every request.
    pub async fn touch_key(&self, key: &ApiKey, now: Timestamp) -> Result<(), ControlError> {
        if key.last_used.is_some_and(|used| used.plus_secs(KEY_USE_EVERY_SECS) > now) {
            return Ok(());
        }
        let touch = "UPDATE api_key SET last_used = $2 WHERE id = $1 AND (last_used IS NULL OR last_used <= $3)";
        let due = now.plus_secs(-KEY_USE_EVERY_SECS);
        text_query(touch, &[&key.id]).bind(now.0).bind(due.0).execute(&self.write).await?;
        Ok(())
    }

    pub async fn delete_key(&self, id: &str) -> Result<(), ControlError> {
        let delete = text_query("DELETE FROM api_key WHERE id = $1", &[id]);
        let deleted = delete.execute(&self.write).await?;
        if deleted == 0 { Err(ControlError::NotFound("key")) } else { Ok(()) }
    }
}

/// A query whose first parameters are text.
fn text_query(sql: &'static str, texts: &[&str]) -> Sql {
    texts.iter().fold(query(sql), |query, text| query.bind((*text).to_owned()))
}

fn named(error: sqlx::Error, what: &'static str) -> ControlError {
    match error.as_database_error() {
        Some(e) if e.is_unique_violation() => ControlError::Exists(what),
        Some(e) if e.is_foreign_key_violation() => ControlError::NotFound("user"),
        _ => error.into(),
    }
}

fn read_user(row: &Row, at: usize) -> Result<User, ControlError> {
    let role: &str = row.try_get(at + 1)?;
    Ok(User {
        name: row.try_get(at)?,
        role: Role::parse(role).ok_or_else(|| failed(format!("{role} is not a role")))?,
        password_hash: row.try_get(at + 2)?,
        created: Timestamp(row.try_get(at + 3)?),
    })
}

fn read_session(row: &Row) -> Result<Session, ControlError> {
    Ok(Session {
        token_hash: row.try_get(0)?,
        user: row.try_get(1)?,
        csrf: row.try_get(2)?,
        expires: Timestamp(row.try_get(3)?),
    })
}

fn read_key(row: &Row) -> Result<ApiKey, ControlError> {
    let scopes: &str = row.try_get(2)?;
    Ok(ApiKey {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        hash: row.try_get(3)?,
        created: Timestamp(row.try_get(4)?),
        created_by: row.try_get(5)?,
        last_used: row.try_get::<Option<i64>>(6)?.map(Timestamp),
    })
}
