"""Categories over HTTP: colours, and keys that belong to one of them."""

from starlette.testclient import TestClient

from .drawing import put_mask


def test_a_category_has_a_colour_and_a_key(client: TestClient) -> None:
    cat = client.post("/api/categories", json={"name": "cat"}).json()
    assert cat["colour"].startswith("#")
    assert cat["digit"] is None
    dog = client.post("/api/categories", json={"name": "dog", "colour": "#123abc", "digit": 1})
    assert (dog.json()["colour"], dog.json()["digit"]) == ("#123abc", 1)
    assert client.post("/api/categories", json={"name": "cat"}).json() == cat
    url = f"/api/categories/{cat['id']}"
    changed = client.patch(url, json={"name": "tom cat", "digit": 1}).json()
    assert changed == {**cat, "name": "tom cat", "digit": 1}
    (_, other) = client.get("/api/categories").json()["categories"]
    assert other["digit"] is None  # a key chooses one
    assert client.patch(url, json={"name": "dog"}).status_code == 422
    assert client.patch(url, json={"colour": "red"}).status_code == 422
    assert client.patch("/api/categories/999999", json={"name": "x"}).status_code == 404


def test_a_category_goes_only_without_masks(client: TestClient) -> None:
    cat = client.post("/api/categories", json={"name": "cat"}).json()["id"]
    made = put_mask(client, category_id=cat)
    refused = client.delete(f"/api/categories/{cat}")
    assert refused.status_code == 422
    assert "give them another category" in refused.json()["error"]
    gone = {"op_id": "d", "base_version": 1}
    client.delete(f"/api/annotations/{made['id']}", params=gone)
    assert client.delete(f"/api/categories/{cat}").status_code == 204
    assert client.get("/api/categories").json() == {"categories": []}
