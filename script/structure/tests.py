"""Tests of the checks: what is planted is found, and its harmless neighbour is not."""

import tempfile
import unittest
from pathlib import Path

import draw
import plan
import rooms
from edges import circles_of_rooms, crates_of_metadata, includes_of, rooms_of
from graph import circles
from problems import crate_problems, include_problems, known, room_problems
from prose import glossary_problems, name_problems, page_problems, word_problems
from rust import code_of, paths_of


class Planted(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def plant(self, files):
        for name, text in files.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return [self.root / name for name in files]

    def circles(self, files):
        self.plant({"lib.rs": "mod a;\nmod b;\nmod c;\n", "a.rs": "", "b.rs": "", "c.rs": "", **files})
        return [circle for circle, _ in circles_of_rooms("planted", rooms_of(self.root / "lib.rs"))]


class Circles(Planted):
    def test_two_files_that_use_each_other(self):
        self.assertEqual(self.circles({"a.rs": "use crate::b::B;\nstruct A;", "b.rs": "use crate::a::A;\nstruct B;"}), ["planted/src: a b"])

    def test_one_way_is_none(self):
        self.assertEqual(self.circles({"a.rs": "use crate::b::B;\nstruct A;", "b.rs": "struct B;", "c.rs": "use crate::{a::A, b::B};"}), [])

    def test_a_longer_way_round(self):
        files = {"a.rs": "use crate::b::B; struct A;", "b.rs": "fn f() { super::c::C::new() } struct B;", "c.rs": "struct C(crate::a::A);"}
        self.assertEqual(self.circles(files), ["planted/src: a b c"])

    def test_folders_that_no_two_files_close(self):
        files = {
            "a.rs": "mod one;\nmod two;",
            "a/one.rs": "use crate::b::B;",
            "a/two.rs": "pub struct Two;",
            "b.rs": "use crate::a::two::Two; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["planted/src: a b"])

    def test_files_within_a_folder(self):
        files = {"a.rs": "mod one;\nmod two;", "a/one.rs": "use super::two::Two; struct One;", "a/two.rs": "use super::one::One; struct Two;"}
        self.assertEqual(self.circles(files), ["planted/src/a: one two"])

    def test_a_door_and_its_room(self):
        self.assertEqual(self.circles({"a.rs": "mod one;\nuse one::One; struct A;", "a/one.rs": "use super::A; struct One;"}), [])

    def test_re_exports_are_followed_to_what_they_name(self):
        files = {"lib.rs": "mod a;\nmod b;\nmod c;\npub use b::B;\npub use a::*;", "a.rs": "use crate::B; struct A;", "b.rs": "struct B;"}
        self.assertEqual(self.circles(files), [])
        self.assertEqual(self.circles({**files, "b.rs": "use crate::A; struct B;"}), ["planted/src: a b"])

    def test_what_begins_with_its_own_name_is_another_crates(self):
        self.assertEqual(self.circles({"a.rs": "use other::{Context, other};\nstruct A(other::B);", "b.rs": ""}), [])

    def test_globs_count_where_a_name_is_used(self):
        files = {"a.rs": "use crate::b::*; struct A(B);", "b.rs": "use crate::a::A; struct B;"}
        self.assertEqual(self.circles(files), ["planted/src: a b"])
        self.assertEqual(self.circles({**files, "a.rs": "use crate::b::*; struct A;"}), [])

    def test_tests_comments_and_strings_use_nothing(self):
        for harmless in (
            "// crate::b::B",
            "/// See [`crate::b::B`].",
            'const S: &str = "crate::b::B";',
            'const S: &str = r#"use crate::b::B;"#;',
            "#[cfg(test)]\nmod tests { use crate::b::B; fn f() { {} } }",
            "#[cfg(test)]\n#[allow(dead_code)]\nuse crate::b::B;",
            "fn f<'a>(x: &'a str) -> char { '\"' }",
        ):
            self.assertEqual(self.circles({"a.rs": harmless + "\nstruct A;", "b.rs": "use crate::a::A; struct B;"}), [], harmless)

    def test_rooms_that_must_not_know_each_other(self):
        self.plant({"lib.rs": "mod api;\nmod server;", "api.rs": "use crate::server::Server;", "server.rs": "struct Server;"})
        levels = rooms_of(self.root / "lib.rs")
        self.assertIn("api must not know server", [text for _, text in room_problems("agent", levels)][0])
        self.assertEqual(list(room_problems("probe", levels)), [])


class Headers(Planted):
    def test_headers_that_include_each_other(self):
        files = self.plant({"a.h": '#include "b.h"\n', "b.h": '#include "a.h"\n', "c.c": '#include "a.h"\n#include <c.h>\n'})
        self.assertEqual([[Path(name).name for name in circle] for circle in circles(includes_of(files))], [["a.h", "b.h"]])

    def test_headers_one_way(self):
        self.assertEqual(circles(includes_of(self.plant({"a.h": '#include "b.h"\n', "b.h": "", "c.c": '#include "a.h"\n#include "b.h"\n'}))), [])

    def test_a_tracker_leaves_the_others_alone(self):
        own = self.plant({"trackers/a/x.h": "", "trackers/a/t.c": '#include "x.h"\n', "include/y.h": "", "trackers/b/t.c": '#include "y.h"\n'})
        self.assertEqual(list(include_problems(own)), [])
        other = own + self.plant({"trackers/c/t.c": '#include "../a/x.h"\n'})
        self.assertEqual(len(list(include_problems(other))), 1)


class Crates(unittest.TestCase):
    def metadata(self, kind):
        """detect needs regex, which needs tokio: to run, or only to be built."""
        packages = {"detect": "ethogram-detect", "regex": "regex", "tokio": "tokio", "fuzz": "ethogram-fuzz"}
        deps = {"detect": [("regex", None)], "regex": [("tokio", kind)], "tokio": [], "fuzz": [("detect", None)]}
        folders = {"detect": "/house/crates/detect", "fuzz": "/house/fuzz"}
        return {
            "packages": [
                {"id": id, "name": name, "manifest_path": folders.get(id, f"/elsewhere/{id}") + "/Cargo.toml"}
                for id, name in packages.items()
            ],
            "workspace_members": ["detect", "fuzz"],
            "resolve": {
                "nodes": [
                    {"id": id, "deps": [{"pkg": other, "dep_kinds": [{"kind": kind}]} for other, kind in needed]}
                    for id, needed in deps.items()
                ]
            },
        }

    def test_what_comes_in_below(self):
        self.assertIn("brings in tokio", "".join(crate_problems(crates_of_metadata(self.metadata(None)))))
        self.assertEqual(list(crate_problems(crates_of_metadata(self.metadata("build")))), [])

    def test_what_is_no_part_of_the_binary_is_no_crate_of_the_house(self):
        self.assertEqual(set(crates_of_metadata(self.metadata(None))), {"detect"})

    def test_our_own(self):
        self.assertEqual(list(crate_problems({"detect": ({"model"}, set())})), [])
        self.assertIn("must not know it", "".join(crate_problems({"detect": ({"probe"}, set())})))
        self.assertIn("is not in", "".join(crate_problems({"cellar": (set(), set())})))


class Known(unittest.TestCase):
    def test_a_circle_may_shrink_but_not_grow(self):
        self.assertEqual(known(["x: a b"], ["x: a b c"]), ([], []))
        self.assertEqual(known(["x: a b d"], ["x: a b c"]), (["x: a b d"], ["x: a b c"]))
        self.assertEqual(known(["y: a b"], ["x: a b"]), (["y: a b"], ["x: a b"]))

    def test_what_is_mended_is_not_listed(self):
        self.assertEqual(known([], ["x: a b"]), ([], ["x: a b"]))

    def test_the_plan_itself_has_no_circle(self):
        self.assertEqual(circles(plan.CRATES), [])


class Rooms(Planted):
    def test_what_a_room_says_of_itself(self):
        (file,) = self.plant({"a.rs": "//! Rules: what is\n//! bad, in [`falco`](x)'s words. More.\n//!\n//! Else.\nuse a;"})
        self.assertEqual(rooms.first_sentence(file), "Rules: what is bad, in `falco`'s words")
        (file,) = self.plant({"b.rs": "//! Rules: what is bad, " + "and worse, " * 12 + "of it.\n"})
        self.assertEqual(rooms.first_sentence(file), "Rules")
        (file,) = self.plant({"c.rs": "use a;\n//! Late.\n"})
        self.assertEqual(rooms.first_sentence(file), "")

    def test_the_tree_takes_its_place_in_the_page(self):
        crates = [rooms.Room("crates/model", "Words", [rooms.Room("crates/model/include", "C")])]
        tree = rooms.tree(crates, [rooms.Room("crates", "All"), rooms.Room("docs", "Pages")])
        self.assertIn("crates/       All\n  model/      Words\n    include/  C\ndocs/         Pages\n", tree)
        self.assertEqual(rooms.with_tree("a\n" + rooms.BEGIN + "old" + rooms.END + "\nb", tree), "a\n" + tree + "\nb")
        self.assertIsNone(rooms.with_tree("a", tree))

    def test_every_step_is_drawn(self):
        steps = [names[0] for names, *_ in draw.BOXES if names]
        design = "# Way\n`" + " → ".join(steps) + "`\n"
        self.assertEqual(list(draw.problems_of(design)), [])
        self.assertIn("'dream' of docs/design.md is not drawn", "".join(draw.problems_of(design.replace("→ judge", "→ dream → judge"))))
        self.assertIn("'judge' is drawn", "".join(draw.problems_of(design.replace(" → judge", ""))))
        self.assertIn("does not name the steps", "".join(draw.problems_of("")))


class Reading(unittest.TestCase):
    def test_use_trees(self):
        found = paths_of("crate::a::{self, b::{C, D as E}, f::*}")
        self.assertEqual(
            found,
            [("a", ["crate", "a"]), ("C", ["crate", "a", "b", "C"]), ("E", ["crate", "a", "b", "D"]), ("*", ["crate", "a", "f"])],
        )

    def test_code_after_what_is_left_out_stays(self):
        self.assertIn("struct B", code_of("#[cfg(test)]\nmod tests { fn f() { let c = '}'; } }\nstruct B;"))


class Prose(unittest.TestCase):
    def of(self, text, name="docs/page.md", there=("docs/other.md",)):
        return list(page_problems(Path(name), f"# Page\n{text}", lambda path: str(path) in there))

    def test_lines_and_tables(self):
        self.assertIn("121 columns", "".join(self.of("a" * 121)))
        self.assertEqual(self.of("a" * 120 + "\n| " + "a" * 200), [])

    def test_what_a_merge_leaves(self):
        self.assertIn("is it empty", "".join(page_problems(Path("docs/page.md"), "")))
        row = "| what nothing but this row of a table is about | {} |"
        self.assertIn("3 says again", "".join(self.of(row.format("so") + "\n" + row.format("so, and so"))))
        self.assertEqual(self.of("| short | a |\n| short | b |\n" + row.format("so")), [])

    def test_links_and_paths(self):
        self.assertEqual(self.of("[other](other.md), [one](https://example.org/), `docs/other.md`, `crates/NAMES/x.rs`"), [])
        self.assertIn("links to gone.md", "".join(self.of("[gone](gone.md)")))
        self.assertIn("names docs/gone.md", "".join(self.of("`docs/gone.md`")))
        self.assertEqual(self.of("```console\n[gone](gone.md)\n```"), [])
        self.assertEqual(self.of("# A heading, `so`\n[here](#a-heading-so)"), [])
        self.assertIn("links to #there", "".join(self.of("[there](#there)")))

    def test_words_and_names(self):
        for text in ("Whoever reads it", "what nobody wants", "a graver one"):
            self.assertEqual(len(list(word_problems(Path("a.rs"), text))), 1, text)
        self.assertEqual(list(word_problems(Path("a.md"), "```\nwhoever\n```\nengraved, nobody reads")), [])
        self.assertEqual(len(list(name_problems(Path("a.rs"), "fn told() {}\nfn foretold() {}"))), 1)

    def test_the_glossary_stays_short(self):
        self.assertEqual(list(glossary_problems("**word** \u2014 what it is\n" * 40)), [])
        self.assertIn("41 entries", "".join(glossary_problems("**word** \u2014 what it is\n" * 41)))


if __name__ == "__main__":
    unittest.main()
