"""`maskmill deploy` and `serve-model`: a trained classifier as a folder, and over HTTP."""

from pathlib import Path

from maskmill.cli.options import JsonFlag, ModelName, OutFolder, Threads, print_result


def deploy(
    trained: Path,
    /,
    *,
    out: OutFolder,
    rules: Path | None = None,
    model: ModelName = "tiny",
    as_json: JsonFlag = False,
) -> None:
    """Write a trained classifier as a folder that needs nothing of this project.

    It holds both models as ONNX, the rules, a card with every file's hash, and a client.

    Args:
        trained: A folder that `maskmill scribble train` wrote.
        rules: A JSON file of rules; by default `rules.json` of the trained folder, if there is one.
    """
    from maskmill.cli.scribble import rules_of
    from maskmill.deploy import deploy as write
    from maskmill.scribble.classifier import load

    card = write(trained, out, model=model, rules=rules_of(trained, rules, load(trained)))
    text = f"deployed {', '.join(card['categories'])} in {out}; next: maskmill serve-model {out}"
    print_result({"out": out, **card}, as_json=as_json, text=text)


def serve_model(
    deployment: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer images over HTTP with masks, verdict and timing, until Ctrl-C.

    It has no accounts and no TLS; off this machine it belongs behind a proxy that has.

    Args:
        deployment: A folder that `maskmill deploy` wrote.
        host: Address to listen on.
        port: Port to listen on, 0 for a free one.
    """
    from maskmill.deploy import load_deployment
    from maskmill.serving import make_server

    loaded = load_deployment(deployment, threads=threads)
    with make_server(loaded, host, port) as server:
        url = f"http://{host}:{server.server_port}"
        print_result(
            {"url": url}, as_json=as_json, text=f"POST images to {url}/predict; Ctrl-C stops"
        )
        import sys

        sys.stdout.flush()
        server.serve_forever()
