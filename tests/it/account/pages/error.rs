//! The hosted page `/error` (spec §13.8).

use super::super::mail::accepting;
use super::super::world::World;

const HOSTILE: &str = "%22%3E%3Cscript%3Eevil%3C%2Fscript%3E";

/// S18: what a page says comes from us alone, and the page loads nothing, is not framed and not kept.
#[tokio::test]
async fn the_error_page_says_only_what_it_knows() {
    let world = World::new().await;
    let known = world.send(accepting("/error?error=access_denied", "text/html")).await;
    assert_eq!(known.status, 200);
    assert!(known.text().contains("<h1>Access was refused</h1>"), "{}", known.text());
    let csp = known.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; style-src 'sha256-"), "{csp}");
    assert!(csp.contains("frame-ancestors 'none'") && csp.contains("base-uri 'none'"), "{csp}");
    assert_eq!(known.header("cache-control"), Some("no-store"));

    for path in [
        "/error".to_owned(),
        format!("/error?error={HOSTILE}&ui_locales={HOSTILE}&error_description={HOSTILE}"),
    ] {
        let page = world.send(accepting(&path, "text/html")).await;
        assert_eq!(page.status, 200, "{path}");
        let text = page.text();
        assert!(
            text.contains("<h1>Something went wrong</h1>") && text.contains("role=\"alert\""),
            "{path}: {text}"
        );
        assert!(!text.contains("evil") && !text.contains("<script"), "{path}: {text}");
    }
    let twice = world.send(accepting("/error?error=access_denied&error=invalid_request", "text/html")).await;
    assert_eq!(twice.status, 400);
    world.end().await;
}

/// Below a tenant the page is the same, and it is in the language that `ui_locales` asks for.
#[tokio::test]
async fn the_error_page_speaks_spanish_below_a_tenant() {
    let world = World::new().await;
    let page = world.send(accepting("/t/acme/error?error=access_denied&ui_locales=es-AR", "text/html")).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("<html lang=\"es\">") && text.contains("<h1>Se denegó el acceso</h1>"), "{text}");
    assert_eq!(world.send(accepting("/t/N%20o/error", "text/html")).await.status, 400);
    world.end().await;
}
