from tests.readme import README, with_tables


def test_the_tables_of_the_readme_are_the_programs_own() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run: make readme"
