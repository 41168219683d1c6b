"""What a user of the official Elasticsearch client does, against a running server: e2e_elastic.py URL KEY"""
import base64
import datetime
import json
import sys
import time
import urllib.request

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError, helpers

EVENTS = 300


def send(url, key, start):
    """Sends events, one a second, as CloudTrail would."""
    lines = []
    for n in range(EVENTS):
        at = start + datetime.timedelta(seconds=n)
        lines.append(json.dumps({
            "eventVersion": "1.08", "eventID": f"e{n:04}", "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventName": ["DescribeTrails", "ListBuckets", "StopLogging"][n % 3],
            "eventSource": "cloudtrail.amazonaws.com", "sourceIPAddress": f"10.0.0.{n % 5}", "awsRegion": "eu-central-1",
            "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "userAgent": "aws-cli/2.13.25",
            "userIdentity": {"type": "IAMUser", "userName": ["alice", "bob"][n % 2], "accountId": "123456789012"},
        }))
    request = urllib.request.Request(f"{url}/api/v1/ingest?source=trail&format=cloudtrail", "\n".join(lines).encode(), {"X-API-Key": key})
    urllib.request.urlopen(request, timeout=30).read()


def wait_for(client, count):
    deadline = time.monotonic() + 60
    while client.count(index="erne-events")["count"] < count:
        assert time.monotonic() < deadline, client.count(index="erne-events")
        time.sleep(0.2)


def check_search(client):
    query = {"bool": {"must": [{"match": {"user.name": "alice"}}], "must_not": [{"term": {"event.action": "StopLogging"}}]}}
    found = client.search(index="erne-events", query=query, size=3, sort=[{"@timestamp": "desc"}])
    assert found["hits"]["total"] == {"value": 100, "relation": "eq"}, found["hits"]["total"]
    assert [h["_id"] for h in found["hits"]["hits"]] == ["e0298", "e0294", "e0292"], found["hits"]["hits"]
    assert client.search(q="user.name:bob AND event.action:StopLogging", size=0)["hits"]["total"]["value"] == 50
    assert client.get(index="erne-events", id="e0007")["_source"]["actor"]["user"]["name"] == "bob"
    told = client.search(size=0, aggs={
        "by_minute": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}, "aggs": {"who": {"terms": {"field": "user.name"}}}},
        "addresses": {"cardinality": {"field": "source.ip"}},
    })["aggregations"]
    assert sum(b["doc_count"] for b in told["by_minute"]["buckets"]) == EVENTS, told
    assert all(len(b["who"]["buckets"]) == 2 for b in told["by_minute"]["buckets"] if b["doc_count"] > 1), told
    assert told["addresses"]["value"] == 5, told


def check_pages(client):
    every = {f"e{n:04}" for n in range(EVENTS)}
    scanned = [hit["_id"] for hit in helpers.scan(client, index="erne-events", size=70, query={"query": {"range": {"@timestamp": {"lte": "now"}}}})]
    assert len(scanned) == EVENTS and set(scanned) == every, len(scanned)
    pit = client.open_point_in_time(index="erne-events", keep_alive="1m")["id"]
    after, seen = None, []
    while True:
        page = client.search(pit={"id": pit, "keep_alive": "1m"}, size=64, sort=[{"@timestamp": "desc"}, "_shard_doc"], search_after=after)["hits"]["hits"]
        seen += [hit["_id"] for hit in page]
        if len(page) < 64:
            break
        after = page[-1]["sort"]
    client.close_point_in_time(id=pit)
    assert seen == sorted(every, reverse=True), len(seen)


def check_meta(client):
    assert client.ping() and client.info()["version"]["number"].startswith("8.")
    assert client.indices.exists(index="erne-events")
    caps = client.field_caps(index="erne-*", fields="source.*")["fields"]
    assert caps["source.ip"]["ip"]["aggregatable"], caps
    mapping = client.indices.get_mapping(index="erne-events")["erne-events"]["mappings"]["properties"]
    assert mapping["user"]["properties"]["name"] == {"type": "alias", "path": "actor.user.name"}, mapping["user"]
    assert client.cat.indices(format="json")[0]["docs.count"] == str(EVENTS)
    assert client.cluster.health()["status"] == "green"
    answers = client.msearch(searches=[{"index": "erne-events"}, {"size": 1}, {}, {"query": {"nothing": {}}}])["responses"]
    assert [a["status"] for a in answers] == [200, 400], answers


def check_errors(client):
    for wrong, kind, part in [
        (lambda: client.search(query={"term": {"user.nmae": "x"}}), BadRequestError, "did you mean user.name?"),
        (lambda: client.search(query={"more_like_this": {"like": "x"}}), BadRequestError, "unknown query"),
        (lambda: client.search(index="logs"), NotFoundError, "no such index"),
        (lambda: client.index(index="erne-events", document={}), ApiError, ""),
    ]:
        try:
            wrong()
        except kind as error:
            assert part in str(error), error
        else:
            raise AssertionError(f"not refused: {part}")


def main(url, key):
    start = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0) - datetime.timedelta(hours=1)
    send(url, key, start)
    client = Elasticsearch(f"{url}/elastic", api_key=key, request_timeout=30)
    wait_for(client, EVENTS)
    for check in (check_meta, check_search, check_pages, check_errors):
        check(client)
        print(f"  {check.__name__}: ok")
    encoded = base64.b64encode(f"erne:{key}".encode()).decode()
    for name, other in [
        ("basic_auth", Elasticsearch(f"{url}/elastic", basic_auth=("erne", key))),
        ("bearer_auth", Elasticsearch(f"{url}/elastic", bearer_auth=key)),
        ("api_key of two parts", Elasticsearch(f"{url}/elastic", api_key=encoded)),
    ]:
        assert other.count()["count"] == EVENTS
        print(f"  {name}: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
