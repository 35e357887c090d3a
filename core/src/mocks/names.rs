//! What things look like, by what they are called: enough for a page to look like one.

use super::{calendar, dice::Dice};

const FIRST: [&str; 12] =
    ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Ken", "Margaret", "Dennis", "Radia", "Tim", "Frances", "Linus"];
const LAST: [&str; 12] = [
    "Lindqvist",
    "Okafor",
    "Moreau",
    "Tanaka",
    "Silva",
    "Novak",
    "Haddad",
    "Keller",
    "Rossi",
    "Nguyen",
    "Walsh",
    "Ivanov",
];
const ADJECTIVES: [&str; 12] =
    ["Quiet", "Golden", "Northern", "Lost", "Second", "Long", "Paper", "Silver", "Distant", "Early", "Hidden", "Blue"];
const NOUNS: [&str; 12] = [
    "River", "Harbour", "Garden", "Signal", "Letter", "Winter", "Station", "Orchard", "Bridge", "Summer", "Island",
    "Road",
];
const WORDS: [&str; 12] =
    ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "indigo", "juniper", "kelp", "larch"];
const CITIES: [&str; 8] = ["Lisbon", "Oslo", "Kyoto", "Lagos", "Lima", "Tallinn", "Toronto", "Wellington"];
const COUNTRIES: [&str; 8] = ["PT", "NO", "JP", "NG", "PE", "EE", "CA", "NZ"];
const SENTENCES: [&str; 6] = [
    "A clear start, and an end that nobody sees coming.",
    "Better than it has to be.",
    "Short, warm and to the point.",
    "Two of them meet, and nothing stays as it was.",
    "It takes its time, and is worth it.",
    "All that was promised, and a little more.",
];

pub(super) fn word(dice: &mut Dice) -> &'static str {
    dice.pick(&WORDS).unwrap_or("word")
}

/// `films` → `film`: an item is named after its list.
pub(super) fn singular(name: &str) -> &str {
    match name.strip_suffix("ies") {
        Some(_) => name,
        None => name.strip_suffix('s').filter(|one| !one.ends_with('s')).unwrap_or(name),
    }
}

/// Of a format that says what the text is; `None` for one that is not known.
pub(super) fn of_format(format: &str, dice: &mut Dice) -> Option<String> {
    // In the ten years before 2027.
    let day = |dice: &mut Dice| calendar::date(17_167 + dice.below(3_650));
    let clock = |dice: &mut Dice| format!("{:02}:{:02}:{:02}Z", dice.below(24), dice.below(60), dice.below(60));
    Some(match format {
        "date" => day(dice),
        "time" => clock(dice),
        "partial-time" => clock(dice).trim_end_matches('Z').to_owned(),
        "date-time" => format!("{}T{}", day(dice), clock(dice)),
        "duration" => format!("PT{}M", 1 + dice.below(180)),
        "uuid" => uuid(dice),
        "email" => email(dice),
        "uri" | "url" => format!("https://example.com/{}/{}", word(dice), 1 + dice.below(999)),
        "hostname" => format!("{}.example.com", word(dice)),
        "ipv4" | "ip" => format!("192.0.2.{}", 1 + dice.below(254)),
        "ipv6" => format!("2001:db8::{:x}", 1 + dice.below(0xfff)),
        _ => return None,
    })
}

fn uuid(dice: &mut Dice) -> String {
    let (high, low) = (dice.next(), dice.next());
    // Of the fourth version, as its digits say.
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

fn email(dice: &mut Dice) -> String {
    let first = dice.pick(&FIRST).unwrap_or("Ada").to_lowercase();
    format!("{first}@example.com")
}

/// A text for a property with this name.
pub(super) fn text(name: &str, dice: &mut Dice) -> String {
    let name = name.to_ascii_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")));
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let person =
        |dice: &mut Dice| format!("{} {}", dice.pick(&FIRST).unwrap_or("Ada"), dice.pick(&LAST).unwrap_or("Novak"));
    let title = |dice: &mut Dice| {
        format!("The {} {}", dice.pick(&ADJECTIVES).unwrap_or("Long"), dice.pick(&NOUNS).unwrap_or("Road"))
    };
    let from = |list: &[&'static str], dice: &mut Dice| dice.pick(list).unwrap_or_default().to_owned();
    let of_format = |format, dice: &mut Dice| of_format(format, dice).unwrap_or_default();
    if is(&["id", "key", "token", "cursor"]) || name.ends_with("id") {
        return format!("{}-{}", word(dice), 1 + dice.below(999));
    }
    if has(&["image", "photo", "picture", "poster", "portrait", "avatar", "thumbnail", "icon", "logo"]) {
        return format!("https://example.com/images/{}.jpg", 1 + dice.below(999));
    }
    match () {
        () if has(&["email", "mail"]) => email(dice),
        () if has(&["url", "uri", "link", "href"]) => of_format("uri", dice),
        () if is(&["first_name", "firstname", "given_name"]) => from(&FIRST, dice),
        () if is(&["last_name", "lastname", "surname", "family_name"]) => from(&LAST, dice),
        () if is(&["author", "actor", "director", "user", "owner", "person"]) || has(&["name", "_by"]) => person(dice),
        () if has(&["title", "headline", "heading"]) => title(dice),
        () if has(&["date"]) || is(&["day", "birthday", "released"]) => of_format("date", dice),
        () if name.ends_with("_at") || is(&["timestamp", "created", "updated"]) => of_format("date-time", dice),
        () if is(&["city", "town", "place"]) => from(&CITIES, dice),
        () if is(&["country"]) => from(&COUNTRIES, dice),
        () if is(&["currency"]) => from(&["EUR", "USD", "JPY"], dice),
        () if is(&["language", "locale", "lang"]) => from(&["en", "de", "ja", "pt"], dice),
        () if has(&["phone", "mobile"]) => format!("+1 202 555 01{:02}", dice.below(100)),
        () if has(&[
            "text",
            "description",
            "summary",
            "about",
            "synopsis",
            "review",
            "comment",
            "body",
            "message",
            "line",
        ]) =>
        {
            from(&SENTENCES, dice)
        }
        () if has(&["color", "colour"]) => format!("#{:06x}", dice.below(0x100_0000)),
        () => format!("{} {}", word(dice), word(dice)),
    }
}

/// Within which bounds a number with this name would be.
pub(super) fn range(name: &str) -> (f64, f64) {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["year"]) => (1970.0, 2026.0),
        () if has(&["stars", "rating", "average", "score"]) => (1.0, 5.0),
        () if has(&["percent"]) => (0.0, 100.0),
        () if has(&["minutes", "duration", "runtime"]) => (75.0, 180.0),
        () if name == "lat" || has(&["latitude"]) => (-60.0, 70.0),
        () if name == "lon" || name == "lng" || has(&["longitude"]) => (-180.0, 180.0),
        () if has(&["price", "amount", "total", "cost"]) => (1.0, 200.0),
        () if has(&["count", "number", "size"]) => (0.0, 250.0),
        () if name == "age" => (18.0, 90.0),
        () => (1.0, 999.0),
    }
}
