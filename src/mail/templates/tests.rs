use super::*;

fn words() -> Words {
    Words {
        name: Some(Line::new("<b>Ann</b> & \"Co\"")),
        link: Some("https://id.example.com/reset?token=hjl_acme.abc".to_owned()),
        valid_for: Some("1 hour".to_owned()),
        ..Words::default()
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

#[test]
fn a_mail_has_a_subject_a_text_and_html_with_the_link() {
    let templates = Templates::load(None).unwrap();
    let look = Look::new("Acme", None);
    let mail = templates.render(MailKind::Reset, &look, &words()).unwrap();
    assert_eq!(mail.subject.as_str(), "Choose a new password for Acme");
    let link = "https://id.example.com/reset?token=hjl_acme.abc";
    assert!(mail.text.contains(link) && mail.text.contains("1 hour"), "{}", mail.text);
    assert!(mail.html.contains(&format!("href=\"{link}\"")), "{}", mail.html);
}

/// S108: names and branding are text wherever they stand; a style gets a colour or nothing.
#[test]
fn html_is_escaped_and_a_style_takes_no_text() {
    let branding = Branding {
        display_name: Some("<script>alert(1)</script>\r\nBcc: x@example.com".to_owned()),
        logo_url: Some("https://example.com/\"><script>".to_owned()),
        primary_color: Some("red;background:url(//evil)".to_owned()),
    };
    let look = Look::new("Acme", Some(&branding));
    let templates = Templates::load(None).unwrap();
    for kind in MailKind::ALL {
        let words = Words {
            at: Some("now".to_owned()),
            ip: Some("::1".to_owned()),
            user_agent: Some(Line::new("<img src=x onerror=y>")),
            ..words()
        };
        let mail = templates.render(kind, &look, &words).unwrap();
        for bad in ["<script", "<b>Ann", "<img src=x", "evil"] {
            assert!(!mail.html.contains(bad), "{bad} {}", mail.html);
        }
        assert!(mail.html.contains("&lt;script"), "{}", mail.html);
        assert!(!mail.subject.as_str().contains(['\r', '\n']));
        assert!(mail.text.contains("<b>Ann</b>"), "text is text");
    }
    let safe = Look::new("Acme", Some(&Branding { logo_url: Some("http://x/l.png".to_owned()), ..branding }));
    assert_eq!((safe.logo_url, safe.color.as_str()), (None, COLOR));
}

#[test]
fn a_file_of_the_directory_replaces_the_built_in_one_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "verify.subject.txt", "Hola de {{ app }}\n");
    write(directory.path(), "verify.html", "<p>{{ app }}</p>");
    write(directory.path(), ".keep", "");
    let templates = Templates::load(Some(directory.path())).unwrap();
    let mail = templates.render(MailKind::Verify, &Look::new("A&B", None), &words()).unwrap();
    assert_eq!(mail.subject.as_str(), "Hola de A&B");
    assert!(mail.html.contains("<p>A&amp;B</p>"), "{}", mail.html);
    assert!(mail.text.contains("Please confirm"), "the others stay");
}

#[test]
fn a_broken_template_stops_the_start_and_is_named_with_its_line() {
    for (name, text, told) in [
        ("reset.txt", "one\ntwo {{ link\n", "reset.txt, line 2: "),
        ("reset.html", "<p>\n\n{{ lnik }}</p>", "reset.html, line 3: "),
        ("verify.subject.txt", "{% if name %}x", "verify.subject.txt, line 1: "),
        ("verfy.txt", "x", "verfy.txt is no template; the names are: "),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), name, text);
        let error = Templates::load(Some(directory.path())).unwrap_err().to_string();
        assert!(error.starts_with("EMAIL_TEMPLATES_DIR: ") && error.contains(told), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("reset.txt"), [0xff, 0xfe]).unwrap();
    let error = Templates::load(Some(directory.path())).unwrap_err();
    assert!(matches!(error, TemplateError::Unreadable { .. }), "{error}");
}
