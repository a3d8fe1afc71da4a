//! Tenants, scopes and clients of a seed, through the HTTP API.

use serde_json::{Value, json};

use super::file::{SeedClient, SeedTenant};
use super::report::{Made, Report};
use crate::cli::api::{Api, ApiError, Condition};
use crate::cli::failure::Failure;
use crate::crypto::secret::SecretString;

/// Makes what is missing of the tenant, its scopes and clients. True if the tenant says that it has a user
/// database of its own.
///
/// # Errors
/// When the server refuses.
pub(super) async fn sow(api: &Api, tenant: &SeedTenant, report: &mut Report) -> Result<bool, Failure> {
    let slug = &tenant.slug;
    let path = format!("/v1/admin/tenants/{slug}");
    let failed = |error: ApiError| Failure::from(error).while_doing(format!("cannot seed the tenant {slug}"));
    let (made, document) = make(api, &path, &tenant.body()).await.map_err(failed)?;
    report.add("tenant", slug.as_str(), made);
    scopes(api, tenant, report).await.map_err(failed)?;
    for client in &tenant.clients {
        let name = format!("{slug}/{}", client.client_id);
        let (made, document) = self::client(api, &path, client)
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot seed the client {name}")))?;
        report.add("client", &name, made);
        if let Some(secret) = document.get("client_secret").and_then(Value::as_str) {
            report.client_secrets.push((name, SecretString::from(secret)));
        }
    }
    Ok(document.pointer("/settings/userStore/dsnSet") == Some(&Value::Bool(true)))
}

async fn client(api: &Api, tenant: &str, client: &SeedClient) -> Result<(Made, Value), ApiError> {
    let body = Value::Object(client.document.clone());
    make(api, &format!("{tenant}/clients/{}", client.client_id), &body).await
}

/// Makes the document unless it exists, and gives it.
async fn make(api: &Api, path: &str, body: &Value) -> Result<(Made, Value), ApiError> {
    if let Some(found) = api.find(path).await? {
        return Ok((Made::Kept, found.body));
    }
    match api.put(path, body, Condition::Absent).await {
        Ok(answer) => Ok((Made::Created, answer.body)),
        // Somebody was faster, or the node that answered the read was behind.
        Err(ApiError::Refused(refusal)) if refusal.code == "precondition_failed" => {
            Ok((Made::Kept, api.get(path).await?.body))
        }
        Err(error) => Err(error),
    }
}

/// Adds the scopes that the catalogue lacks.
async fn scopes(api: &Api, tenant: &SeedTenant, report: &mut Report) -> Result<(), ApiError> {
    if tenant.scopes.is_empty() {
        return Ok(());
    }
    let path = format!("/v1/admin/tenants/{}/scopes", tenant.slug);
    let catalogue = api.get(&path).await?.body;
    let known = |name: &str| {
        let scopes = catalogue.get("scopes").and_then(Value::as_array).into_iter().flatten();
        scopes.into_iter().any(|scope| scope.get("name").and_then(Value::as_str) == Some(name))
    };
    let (kept, missing): (Vec<_>, Vec<_>) =
        tenant.scopes.iter().partition(|scope| known(scope.name.as_str()));
    if !missing.is_empty() {
        api.put(&format!("{path}?mode=merge"), &json!({ "scopes": missing }), Condition::Always).await?;
    }
    for (scopes, made) in [(kept, Made::Kept), (missing, Made::Created)] {
        for scope in scopes {
            report.add("scope", &format!("{}/{}", tenant.slug, scope.name), made);
        }
    }
    Ok(())
}
