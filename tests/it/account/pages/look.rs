//! How a tenant's pages look (spec §13.8: branding)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::world::World;

/// S18, S20: the tenant's name, logo and colour, and a policy that names them and nothing else.
#[tokio::test]
async fn a_page_looks_like_its_tenant() {
    let world = World::new().await;
    let branding = json!({"display_name": "Acme & Söhne", "logo_url": "https://cdn.acme.example/logo.svg",
        "primary_color": "#ffee00"});
    world.put_tenant("acme", json!({"settings": {"branding": branding}})).await;
    let mut visitor = world.visitor();
    let page = visitor.open("/login?tenant_id=acme").await;
    let text = page.text();
    assert!(text.contains("Acme &amp; Söhne"), "{text}");
    assert!(text.contains("src=\"https:&#x2f;&#x2f;cdn.acme.example&#x2f;logo.svg\""), "{text}");
    let policy = page.answer.header("content-security-policy").unwrap();
    assert!(policy.contains("img-src https://cdn.acme.example;"), "{policy}");
    let styles: Vec<_> =
        text.split("<style>").skip(1).map(|rest| rest.split("</style>").next().unwrap()).collect();
    assert_eq!(styles.len(), 2);
    for style in &styles {
        let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
        assert!(policy.contains(&hash), "{hash} is not in {policy}");
    }
    assert!(
        styles[1].contains("--main:#") && !styles[1].contains("--main:#ffee00;--on-main:#fff"),
        "{}",
        styles[1]
    );
    assert!(!text.contains(" style=") && !text.contains(" on"), "nothing inline: {text}");
    let plain = visitor.open("/login?tenant_id=local").await;
    assert!(
        !plain.text().contains("<img")
            && !plain.answer.header("content-security-policy").unwrap().contains("img")
    );
    world.end().await;
}
