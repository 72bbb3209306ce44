"""report.html and the tables: what stands in them, what is marked, and what must not be there."""

import errno
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from make_records import fail, make_manifest, make_records, warn

from gan_sampler.evaluation import _tables
from gan_sampler.evaluation._figures import draw_cost, draw_curves, draw_gains, draw_history
from gan_sampler.evaluation._report import _inline, render, write_html
from gan_sampler.evaluation._room import room_closed
from gan_sampler.evaluation._statistics import overall_tests
from gan_sampler.evaluation._store import StoreError
from gan_sampler.evaluation._tables import as_published, published_table, summarise, summary_table, write_tables

ROWS = (("tree", "resnet18"), ("svm", "resnet18"), ("cnn", None))
GAINS = {"smote": 1.5}


@pytest.fixture(scope="module")
def records():
    """One cell failed, one is missing, one warned."""
    made = make_records(rows=ROWS, gains=GAINS)
    failed = next(i for i, r in enumerate(made) if (r["treatment"], r["classifier"], r["seed"]) == ("smote", "cnn", 1))
    made[failed] = fail(made[failed])
    made = [r for r in made if (r["treatment"], r["classifier"], r["seed"]) != ("dcgan", "svm", 2)]
    return [warn(r) if (r["treatment"], r["seed"]) == ("dcgan", 0) else r for r in made]


@pytest.fixture(scope="module")
def few(records):
    """One classifier and seed, which is drawn in a second."""
    return [record for record in records if (record["classifier"], record["seed"]) == ("svm", 0)]


@pytest.fixture(scope="module")
def pictures():
    """What `make_pictures` gives of grey images, real ones included."""
    images = np.random.RandomState(0).randint(0, 256, (20, 16, 16)).astype(np.uint8)
    labels = np.zeros(4, dtype=int)
    kept = {"classes": np.array(["normal", "pneumonia"]), "treatments": np.array(["dcgan", "smote"])}
    kept |= {"space": np.array("features"), "real_rows": np.arange(4), "real_labels": np.array([0, 0, 1, 1])}
    kept |= {"real_distance": np.ones(2), "real_images": images[:4]}
    for place in range(2):
        kept |= {f"labels_{place}": labels, f"nearest_{place}": np.arange(4), f"distance_{place}": np.full(4, 0.4)}
        kept |= {f"images_{place}": images[4:8], f"nearest_images_{place}": images[:4]}
    vectors = np.random.RandomState(1).normal(size=(3, 30))
    kept |= {"vectors": vectors, "vectors_labels": np.array([0, 1, 0]), "vectors_kinds": np.array([0, 0, 1])}
    points = np.random.RandomState(2).normal(size=(30, 2))
    return kept | {"map": points, "map_labels": np.arange(30) % 2, "map_kinds": np.arange(30) % 3}


@pytest.fixture(scope="module")
def page(records, pictures, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    write_html(file, records, make_manifest(records), pictures)
    return file.read_text(encoding="utf-8")


@pytest.fixture
def no_figures(monkeypatch):
    """Spare the seconds that drawing takes where figures are not the matter."""
    monkeypatch.setattr(_inline, "_svg_of", lambda *_: "")


def cells_of(page, caption):
    """Return the body rows of the first table with a caption, as lists of text, marks included."""
    table = page[page.index(f"<caption>{caption}") :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


# The page


def test_the_first_screen_asks_answers_and_shows_one_picture(page):
    header = page[page.index("<header>") : page.index("</header>")]
    assert "Should the rare class “normal” be over-sampled" in header
    assert "SMOTE is significantly better than doing nothing" in header
    assert header.count("<figure") == header.count("<svg") == 1
    assert "Images of one patient stand on one side" in header


def test_a_run_without_groups_says_so_loudly(few, no_figures):
    ungrouped = [record | {"groups": None} for record in few]
    page = render(ungrouped, make_manifest(ungrouped, groups_about="No patients are known."), None)
    assert '<p class="alarm">No patients are known.</p>' in page


def test_the_page_refers_to_nothing_outside_itself(page):
    """It is opened where there is no network, and must not tell anyone that it was."""
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "default-src 'none'" in page


def test_identifiers_are_unique_and_every_reference_has_one(page):
    found = re.findall(r'\bid="([^"]+)"', page)
    assert len(found) == len(set(found))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(found)


def test_no_python_object_stands_in_the_page(page):
    assert not re.search(r"\{&#39;|&#39;kind&#39;|<object |\bnan\b|>None<", page[page.index("<body>") :])


def test_every_figure_says_what_it_shows_and_nothing_is_lost_in_shortened_numbers(page):
    assert page.count("<svg") == page.count('<svg role="img" aria-label="')
    assert not re.search(r'aria-label=""|alt=""', page)
    gains = page[page.index("<svg") : page.index("</svg>")]
    assert re.search(r">\+0\.\d\d\d<", gains)


def test_incomplete_cells_are_marked_and_never_bold(page, records):
    rows = {row[0]: row[1:] for row in cells_of(page, "Balanced accuracy: mean")}
    assert rows["SMOTE"][2].endswith("2 of 3, failed")  # CNN
    assert rows["DCGAN"][1].endswith("2 of 3")  # SVM
    assert "of" not in rows["SMOTE"][0]
    assert not re.search(r'class="[^"]*best[^"]*"[^>]*>[^<]*<small', page)
    bold = re.search(r'<tr><th scope="row">SMOTE</th>.*?</tr>', page, re.DOTALL)[0]
    assert bold.count("best") == 2  # of three classifiers


def test_tests_are_shown_with_interval_and_verdict(page, records):
    rows = {row[0]: row for row in cells_of(page, "Difference to doing nothing in balanced accuracy")}
    tests = overall_tests(records, against="none", metric="balanced_accuracy").set_index("treatment_label")
    assert rows["SMOTE"][1] == f"{tests.difference['SMOTE']:+.3f}"
    assert rows["SMOTE"][5] == "significantly better"
    assert rows["DCGAN"][5] == "not significant"
    assert "surely" not in page.lower()


def test_the_reference_is_marked_never_bold_and_stands_beside_the_shares_that_are_closed(no_figures):
    """And a tuned threshold has rows only in metrics that it can change."""
    treatments = ("none", "threshold", "smote", "all_real")
    records = make_records(treatments=treatments, rows=ROWS[1:], gains={"smote": 1.0, "all_real": 2.0}, n_test=400)
    page = render(records, make_manifest(records, "roc_auc"), {})
    table = {row[0]: row for row in cells_of(page, "ROC-AUC: mean")}
    assert list(table) == ["Nothing", "SMOTE", "All real images (reference)"]
    bold = re.findall(r'<td[^>]*class="[^"]*best[^"]*"[^>]*>([^<]*)', page[: page.index("</table>")])
    assert bold == table["SMOTE"][1:]
    assert [row[0] for row in cells_of(page, "Balanced accuracy: mean")][1] == "Tuned threshold"
    assert [row[0] for row in cells_of(page, "Difference to doing nothing in ROC-AUC")] == ["SMOTE"]
    ((name, _, _, _, share, interval, repeats),) = cells_of(page, "Share of the room in ROC-AUC that each treatment")[
        :1
    ]
    assert (name, repeats) == ("SMOTE", "3")
    assert share.endswith(" %")
    assert " to " in interval


def test_the_gain_of_the_reference_is_a_line_of_its_own():
    records = make_records(treatments=("none", "smote", "all_real"), rows=ROWS[1:], gains={"all_real": 2.0})
    room = room_closed(records)
    figure = draw_gains(overall_tests(records), "roc_auc", room=room)
    dotted = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [room["room"].iloc[0]]
    assert figure.legends[0].get_texts()[-1].get_text() == "all real images (reference)"


def test_what_failed_and_what_warned_is_listed(page):
    assert cells_of(page, "1 cell failed")[0][:5] == ["SMOTE", "CNN", "official", "1", "ValueError: too few images"]
    assert cells_of(page, "Warnings")[0][:3] == ["DCGAN", "CollapseWarning", "sampler"]
    assert "Messages may name classes by their numbers: 0 is normal, 1 is pneumonia." in page
    assert "Traceback (most recent call last)" in page


def test_missing_cells_are_listed_where_the_run_knows_them(few, no_figures):
    missing = [{"treatment": "dcgan", "classifier": "svm", "embedder": "resnet18", "split": "official", "seed": 2}]
    page = render(few, make_manifest(few, missing=missing), None)
    assert cells_of(page, "1 cell not computed") == [["DCGAN", "svm", "resnet18", "official", "2"]]


def test_settings_command_and_versions_stand_in_the_page(page):
    assert "gan-sampler compare toy --seeds 0 1 2" in page
    assert ["steps of a GAN", "500"] in cells_of(page, "Data and settings")
    assert ["Started", "2026-01-02 03:04 UTC"] in cells_of(page, "Data and settings")
    assert ["torch", "2.8.0"] in cells_of(page, "Packages")


def test_cost_stands_beside_gain(page):
    rows = {row[0]: row for row in cells_of(page, "Cost of the resampling alone")}
    assert rows["DCGAN"][1:3] == ["68 s", "600.0 MB"]


def test_resampling_counts_once_for_all_classifiers():
    """SMOTE on features is done again for each classifier: the longest of several times of one work is by chance."""
    records = make_records(treatments=("smote",), rows=(("svm", "resnet18"), ("forest", "resnet18"), ("cnn", None)))
    seconds = {"svm": 1.0, "forest": 3.0, "cnn": 0.5}
    for record in records:
        record["seconds"] |= {"sampler": seconds[record["classifier"]], "embedder_new": 0.25}
    assert _tables.cost_table(records)["seconds"].tolist() == [2.25]
    assert _tables.cost_table([fail(record) for record in records])["seconds"].isna().all()


def test_folder_of_an_earlier_version_is_read():
    """Its records hold no time of embedding new images; the report failed with KeyError."""
    records = make_records(rows=(("svm", "resnet18"),))
    for record in records:
        del record["seconds"]["embedder_new"]
    manifest = make_manifest(records)
    assert "notes" not in manifest
    assert "<html" in render(records, manifest, None)
    assert _tables.cost_table(records).set_index("treatment").loc["smote", "seconds"] == 4.2


def test_names_are_escaped(few, no_figures):
    """Class names are names of folders, and anything may stand there."""
    evil = [r | {"classes": ["<script>alert(1)</script>", "b&b"]} for r in few]
    page = render(evil, make_manifest(evil), None)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_real_images_stand_in_the_page_only_when_asked_for(page, few, pictures):
    def count(page):
        return page.count('<img src="data:image/png')

    assert count(page) == 1  # of DCGAN
    assert "Not shown, because their images are, or may be, modified real images" in page
    assert "--include-real-images" in page
    asked = render(few, make_manifest(few), pictures, include_real_images=True)
    assert count(asked) == 4  # two classes, DCGAN, SMOTE
    assert "beneath each its nearest real training image" in asked


def test_every_setting_stands_with_what_it_is_of(few, no_figures):
    """Those of the first sampler stood as the classifier's, and those of all others nowhere."""
    made = [
        record
        | {"settings": {"sampler__k": record["treatment"], "sampler__random_state": "0", "classifier__C": weight}}
        for record in few
        for weight in ("1.0", "2.0")
    ]
    page = render(made, make_manifest(made), None)
    assert cells_of(page, "As recorded in the cells") == [
        ["Nothing", "sampler__k", "none"],
        ["SVM on ResNet18", "classifier__C", "1.0; 2.0"],
        ["SMOTE", "sampler__k", "smote"],
        ["DCGAN", "sampler__k", "dcgan"],
    ]


def test_file_names_stand_in_the_page_only_with_real_images(few, no_figures):
    manifest = make_manifest(few, filenames=[f"patient-{row}.png" for row in range(2000)])
    assert "patient-" not in render(few, manifest, None)
    assert "patient-" in render(few, manifest, None, include_real_images=True)


def test_four_classes_have_curves_matrices_and_numbers_of_each():
    classes = ("bowel", "kidney, left", "liver", "spleen")
    four = make_records(classes, treatments=("none", "smote"), rows=ROWS[1:2], seeds=(0,), split="fold 1")
    page = render(four, make_manifest(four), None)
    for name in classes:
        assert f"ROC curves of class {name}" in page
    assert len(cells_of(page, "Recall of every class")[0]) == 1 + 4
    assert {row[2] for row in cells_of(page, "Mean over the repeats")} == set(classes)


@pytest.mark.parametrize("treatments", [("none",), ("smote", "dcgan")])
def test_a_run_that_cannot_be_tested_has_a_page_nevertheless(treatments, no_figures):
    some = make_records(treatments=treatments, rows=ROWS[1:2], seeds=(0,))
    page = render(some, make_manifest(some), None)
    assert "There are no tests" in page
    failed = [fail(record) for record in some]
    assert "No cell has finished" in render(failed, make_manifest(some), None)


def test_no_records_are_refused(tmp_path):
    with pytest.raises(ValueError, match="records must hold at least one record"):
        write_html(tmp_path / "report.html", [], {}, None)


def test_the_users_style_of_figures_changes_nothing_and_no_window_is_left(records, monkeypatch):
    import matplotlib
    import matplotlib.pyplot as plt

    tests, windows = overall_tests(records, against="none", metric="balanced_accuracy"), plt.get_fignums()
    before = _inline.embed(draw_gains(tests, "balanced_accuracy"), "x").html
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    assert _inline.embed(draw_gains(tests, "balanced_accuracy"), "x").html == before
    assert plt.get_fignums() == windows


def test_curves_go_through_the_points_that_scores_give():
    """Two of three rare images rank first."""
    record = make_records(treatments=("none",), rows=ROWS[1:2], seeds=(0,))[0]
    scores = np.array([5.0, 4, 2, 3, 1, 0])
    record |= {"y_true": [0, 0, 0, 1, 1, 1], "scores": np.column_stack([scores, -scores]).tolist(), "rarest": 0}
    (line,) = (x for x in draw_curves([record], [record], ["none"]).axes[0].lines if x.get_linewidth() > 1.5)
    assert line.get_ydata()[[0, 1, 33, 34, 100]] == pytest.approx([0, 2 / 3, 2 / 3, 1, 1])
    figure = draw_curves([record], [record], ["none"], "precision_recall")
    (line,) = (x for x in figure.axes[0].lines if x.get_linewidth() > 1.5)
    assert line.get_ydata()[[0, 66, 67, 100]] == pytest.approx([1, 1, 0.75, 0.75])


def test_a_training_with_one_entry_is_seen():
    """A line through one point is not drawn at all."""
    figure = draw_history({"rare": [[{"step": 40, "score": 1.2}]]}, "score")
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_costs_that_hardly_differ_lie_within_the_figure(records):
    """Processes that loaded torch need about as much memory, whatever they do."""
    tests = overall_tests(records, against="none", metric="balanced_accuracy").assign(difference=[-0.006, -0.016])
    costs = pd.DataFrame({"treatment": tests["treatment"], "seconds": 1.0, "memory": [1.10e9, 1.11e9]})
    axis = draw_cost(costs, tests, "balanced_accuracy", "memory").axes[0]
    assert axis.get_xlim()[1] > 1.05 * 1110


@pytest.mark.parametrize("difference", [0.0004, 0.006, 0.016, 0.027, 0.11, 0.4])
def test_ticks_of_differences_say_where_they_stand(records, difference):
    """Two digits made +0.01 of 0.005 and of 0.015."""
    tests = overall_tests(records, against="none", metric="balanced_accuracy")
    tests = tests.assign(difference=[-difference, difference / 3], low=-1.3 * difference, high=1.1 * difference)
    costs = pd.DataFrame({"treatment": tests["treatment"], "seconds": [1.0, 20.0], "memory": 1.1e9})
    of_cost = draw_cost(costs, tests, "balanced_accuracy").axes[0].yaxis
    of_gains = draw_gains(tests, "balanced_accuracy").axes[0].xaxis
    for axis in (of_cost, of_gains):
        said = [
            float(axis.get_major_formatter()(tick).replace("\N{MINUS SIGN}", "-")) for tick in axis.get_majorticklocs()
        ]
        assert said == pytest.approx(axis.get_majorticklocs(), abs=1e-9)


def test_the_report_does_not_load_torch():
    """`gan-sampler report` shall answer at once; the package's own __init__ is another matter."""
    code = (
        "import importlib.util, sys, types\n"
        "package = types.ModuleType('gan_sampler')\n"
        "package.__path__ = importlib.util.find_spec('gan_sampler').submodule_search_locations\n"
        "sys.modules['gan_sampler'] = package\n"
        "evaluation = types.ModuleType('gan_sampler.evaluation')\n"
        "evaluation.__path__ = [package.__path__[0] + '/evaluation']\n"
        "sys.modules['gan_sampler.evaluation'] = evaluation\n"
        "import gan_sampler.evaluation._report\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Comparison with the original report


@pytest.fixture(scope="module")
def xrays():
    made = make_records(("NORMAL", "PNEUMONIA"), treatments=("none", "dcgan"), rows=ROWS[1:], seeds=(0,))
    return [record | {"n_train": _tables.PUBLISHED_N_TRAIN} for record in made]


def test_only_its_own_xrays_are_set_beside_the_original(xrays, page):
    own = render(xrays, make_manifest(xrays), None)
    assert "Comparison with the original report" in own
    assert "(Figure 7)" in own
    for of_what in ("precision", "recall", "F1", "AUC", "ROC"):
        assert f"original report&#39;s figure of {of_what} without and with DCGAN" in own
    assert "original report" not in page
    assert published_table([record | {"n_train": 100} for record in xrays]).empty
    assert published_table([record | {"split": "random"} for record in xrays]).empty


def test_published_numbers_stand_beside_ours_in_their_own_convention(xrays):
    table = published_table(xrays).set_index(["classifier", "treatment", "measure"])
    svm = [r["metrics"]["balanced_accuracy"] for r in xrays if (r["classifier"], r["treatment"]) == ("svm", "none")]
    assert table.ours["SVM on ResNet18", "Nothing", "ROC-AUC"] == pytest.approx(np.mean(svm))
    assert table.published["SVM on ResNet18", "Nothing", "ROC-AUC"] == 0.7278
    cnn = [r["metrics"]["roc_auc"] for r in xrays if (r["classifier"], r["treatment"]) == ("cnn", "dcgan")]
    assert table.ours["CNN", "DCGAN", "ROC-AUC"] == pytest.approx(np.mean(cnn))


def test_table_1_has_all_twelve_rows_also_those_that_were_not_run(xrays):
    """A row that is left out silently looks as if the original had none."""
    table = published_table([record for record in xrays if record["classifier"] != "densenet121"])
    rows = table.groupby(["classifier", "treatment"], sort=False).first()
    assert len(rows) == 12
    assert rows.loc[("DenseNet121", "DCGAN")]["n"] == 0
    assert table.ours.isna().sum() == 4 * (rows["n"] == 0).sum() > 0
    page = render(xrays, make_manifest(xrays, notes=["One seed, 30 of 100 epochs."]), None)
    assert page.count("One seed, 30 of 100 epochs.") == 2  # beside Table 1, and among the settings


def test_the_published_row_of_densenet_is_of_pneumonia_alone(xrays):
    """390 of 510 is its precision of .7647."""
    truth, said = np.repeat([0, 1], [234, 390]), np.repeat([0, 1, 1], [114, 120, 390])
    record = xrays[0] | {"classifier": "densenet121", "embedder": None, "y_true": truth, "y_pred": said}
    assert as_published(record)[:2] == pytest.approx(_tables.PUBLISHED["densenet121", "none"][:2], abs=1e-4)


# Tables


def test_tables_hold_every_cell_and_every_prediction(records, tmp_path):
    names = [f"image-{row}.png" for row in range(2000)]
    results, predictions = write_tables(tmp_path / "new", records, make_manifest(records, filenames=names))
    cells = pd.read_csv(results)
    assert len(cells) == len(records)
    failed = cells[cells["error"].notna()].iloc[0]
    assert np.isnan(failed["balanced_accuracy"])
    assert cells["warnings"].str.startswith("CollapseWarning: ", na=False).sum() == 3
    rows = pd.read_csv(predictions)
    finished = [record for record in records if record["error"] is None]
    assert len(rows) == sum(record["n_test"] for record in finished)
    first = rows[rows["key"] == finished[0]["key"]]
    assert first["file"].tolist() == [names[row] for row in finished[0]["rows"]]
    assert first["group"].tolist() == finished[0]["groups"]
    assert first["y_true"].tolist() == [finished[0]["classes"][label] for label in finished[0]["y_true"]]
    assert first["score_normal"].to_numpy() == pytest.approx(np.array(finished[0]["scores"])[:, 0], rel=1e-4)


def test_without_a_finished_cell_there_are_no_predictions(records, tmp_path):
    files = write_tables(tmp_path, [fail(records[0])], make_manifest(records))
    assert [file.name for file in files] == ["results.csv"]


@pytest.mark.parametrize(
    "write",
    [
        write_tables,
        lambda folder, records, manifest: write_html(folder / "report.html", records, manifest, None),
    ],
    ids=["tables", "page"],
)
def test_what_cannot_be_written_leaves_the_old_files_whole(few, no_figures, tmp_path, monkeypatch, write):
    """A disk that filled up, or a kill, left half a report where a whole one was."""

    def fail_at_the_end(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    manifest = make_manifest(few)
    write_tables(tmp_path, few, manifest)
    write_html(tmp_path / "report.html", few, manifest, None)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(os, "replace", fail_at_the_end)
    with pytest.raises(StoreError, match="No space left on device"):
        write(tmp_path, few[:3], manifest)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_the_same_table_has_the_same_bytes_whenever_it_is_written(few, tmp_path, monkeypatch):
    """The head of a gzip file tells the time and the name of a temporary file."""
    _, first = write_tables(tmp_path / "one", few, make_manifest(few))
    monkeypatch.setattr("time.time", lambda: 1e9)
    _, second = write_tables(tmp_path / "two", few, make_manifest(few))
    assert first.read_bytes() == second.read_bytes()


def test_a_summary_counts_what_is_there_and_what_was_asked_for(records):
    table = summarise(records, "balanced_accuracy").set_index(["treatment", "classifier"])
    cell = table.loc[("smote", "CNN")]
    cells = [r for r in records if (r["treatment"], r["classifier"], r["error"]) == ("smote", "cnn", None)]
    values = [record["metrics"]["balanced_accuracy"] for record in cells]
    assert (cell["n"], cell["n_asked"], cell["n_failed"]) == (2, 3, 1)
    assert cell["mean"] == pytest.approx(np.mean(values))
    assert cell["std"] == pytest.approx(np.std(values, ddof=1))
    planned = summarise(records, "balanced_accuracy", missing=[]).set_index(["treatment", "classifier"])
    assert planned.loc[("dcgan", "SVM on ResNet18"), "n_asked"] == 2


def test_the_table_of_a_terminal_marks_what_is_incomplete(records):
    table = summary_table(records, "balanced_accuracy")
    assert table.loc["SMOTE", "CNN"].endswith("*")
    assert not table.loc["Nothing", "CNN"].endswith("*")
    assert "±" in table.loc["Nothing", "CNN"]
    assert "*" in table.attrs["legend"][-1]
    assert list(summary_table(records, "roc_auc")) == ["SVM on ResNet18", "CNN"]  # a tree has no area


@pytest.mark.parametrize("n_rows", [3, 8, 12])
def test_the_table_fits_a_terminal(records, n_rows):
    one = [r for r in records if r["classifier"] == "cnn"]
    many = [
        record | {"classifier": f"own-{n}", "classifier_label": f"Classifier {n} of the user"}
        for record in one
        for n in range(n_rows)
    ]
    table = summary_table(many, "balanced_accuracy")
    assert max(map(len, table.to_string().splitlines())) <= 100
    assert table.shape == (3, n_rows)
    assert (n_rows < 8) == ("Classifier 1 of the user" in table)
    assert n_rows < 8 or "2: Classifier 1 of the user" in table.attrs["legend"][0]
