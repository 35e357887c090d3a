//! Path templates: `/films/{id}/cast/{*rest}`.

/// The names of the template's parameters, or what is wrong with it.
pub(crate) fn params(template: &str) -> Result<Vec<String>, String> {
    let Some(path) = template.strip_prefix('/') else {
        return Err(format!("a path starts with `/`: \"/{template}\""));
    };
    let mut names = Vec::new();
    if path.is_empty() {
        return Ok(names);
    }
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let Some(name) = param(segment, last)? else { continue };
        if names.contains(&name) {
            return Err(format!("two parameters are named `{name}`"));
        }
        names.push(name);
    }
    Ok(names)
}

/// The name in a segment, if it is a parameter.
fn param(segment: &str, last: bool) -> Result<Option<String>, String> {
    if segment.is_empty() {
        return Err("an empty segment: a path has no `//`, and does not end in `/`".to_owned());
    }
    let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return fixed(segment).map(|()| None);
    };
    let name = match inner.strip_prefix('*') {
        Some(_) if !last => {
            return Err(format!("`{segment}` takes all that is left, so it has to be the last segment"));
        }
        Some(name) => name,
        None => inner,
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Err(format!("`{segment}` is no parameter: its name has to be in snake_case, as in `{{film_id}}`"));
    }
    Ok(Some(name.to_owned()))
}

fn fixed(segment: &str) -> Result<(), String> {
    if segment.contains('?') {
        return Err(format!("`{segment}`: the query is no part of the path: take it with `Query<T>`"));
    }
    if segment.contains(['{', '}']) {
        return Err(format!("`{segment}`: a parameter is a whole segment, as in `/films/{{id}}`"));
    }
    match segment.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(*c))) {
        Some(other) => Err(format!("`{segment}`: a path has no `{other}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::params;

    #[test]
    fn names_are_found_in_order() {
        assert_eq!(params("/").unwrap(), [""; 0]);
        assert_eq!(params("/home").unwrap(), [""; 0]);
        assert_eq!(params("/films/{id}/cast/{person_id}").unwrap(), ["id", "person_id"]);
        assert_eq!(params("/files/{*rest}").unwrap(), ["rest"]);
    }

    #[test]
    fn mistakes_are_explained() {
        for (template, explanation) in [
            ("home", "starts with `/`"),
            ("", "starts with `/`"),
            ("/films/", "empty segment"),
            ("/films//x", "empty segment"),
            ("/films/{id", "a parameter is a whole segment"),
            ("/films/{id}.json", "a parameter is a whole segment"),
            ("/films/{}", "snake_case"),
            ("/films/{Id}", "snake_case"),
            ("/films/{1}", "snake_case"),
            ("/{id}/{id}", "two parameters are named `id`"),
            ("/{*rest}/x", "the last segment"),
            ("/search?q=x", "Query<T>"),
            ("/search?q={text}", "Query<T>"),
            ("/a b", "a path has no ` `"),
        ] {
            let error = params(template).unwrap_err();
            assert!(error.contains(explanation), "{template}: {error}");
        }
    }
}
