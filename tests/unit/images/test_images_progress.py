"""What BuildKit's plain lines say of a build's progress."""

from __future__ import annotations

from kubelab_helpers.images.progress import BuildProgress

# As Docker 20.10 and buildx write them.
LINES = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [debian 1/2] FROM localhost/kubelab/base-debian-trixie:f29b928d
#5 CACHED
#6 [debian 2/2] RUN apt-get update  && apt-get install --yes --no-install-recommends ca-certificates python3 tini
#6 0.512 Get:1 http://deb.debian.org/debian trixie InRelease [140 kB]
#6 DONE 9.8s
#7 [stage-2 1/2] COPY --from=build /opt/hub /opt/hub
#7 DONE 0.3s
#8 [stage-2 2/2] RUN groupadd
#8 DONE 0.3s
#9 exporting to image
#9 naming to localhost:5000/kubelab/hub:0.1.0 done
#9 DONE 0.4s
""".splitlines()


def test_steps_are_counted_and_named() -> None:
    progress = BuildProgress()
    seen = [(progress.note, round(progress.fraction, 2)) for line in LINES if progress.read(line)]
    assert seen[0] == ("debian 1/2 FROM localhost/kubelab/base-debian-trixie:f29b928", 0.0)
    assert seen[2][0].startswith("debian 2/2 RUN apt-get update && apt-get install")
    assert max(len(note) for note, _ in seen) <= 60
    assert seen[3] == (seen[2][0], 0.67)
    # The second stage is twice as much to do; the bar does not go back.
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    assert seen[-1] == ("writing the image", 0.8)


def test_what_a_program_writes_is_no_progress() -> None:
    progress = BuildProgress()
    for line in ("#6 0.5 [1/3] compiling", "[debian 2/2] RUN x", "", "#9 DONE 1.0s", " => [2/3] x"):
        assert not progress.read(line)


def test_a_stage_without_a_name_and_one_of_a_platform() -> None:
    progress = BuildProgress()
    assert progress.read("#4 [ 2/11] COPY etc /etc")
    assert progress.note == "2/11 COPY etc /etc"
    assert progress.read("#4 [linux/arm64 server 2/5] RUN x")
    assert progress.note == "linux/arm64 server 2/5 RUN x"
