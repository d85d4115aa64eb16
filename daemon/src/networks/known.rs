//! Names of networks, for a caller who mistyped one.

/// Which there are, and which of them may have been meant.
pub(crate) fn known(asked: &str, names: &[String]) -> String {
    let near = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, asked), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(asked.len()) / 4)
        .min();
    let all = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    match near {
        Some((_, name)) => format!("did you mean {name}? There are {all}"),
        None => format!("there are {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_found() {
        let names = ["mainnet".to_owned(), "testnet".to_owned()];
        assert_eq!(known("mianet", &names), "did you mean mainnet? There are mainnet, testnet");
        assert_eq!(known("futurenet", &names), "there are mainnet, testnet");
        assert_eq!(known("x", &[]), "there are none");
    }
}
