"""To see inside: explain, the active queries page and its end button, the log of slow queries."""
import json
import time
import unittest

from node import Case, http, query_json, wait_for
from test_limits import HEAVY, Sent, fill


class Inside(Case):
    def test_explain(self):
        node = self.node()
        node.start()
        now = int(time.time() * 1000)
        node.push([({"__name__": "m", "i": str(i)}, [(now - 60000, 1.0), (now, float(i))]) for i in range(7)])
        ask = {"query": "sum by (i) (rate(m[5m])) * 2", "time": now / 1000}
        plain = query_json(node.api + "/query", ask)
        self.assertNotIn("explain", plain["data"])
        got = query_json(node.api + "/query", {**ask, "explain": "analyze"})
        self.assertEqual(got["data"]["result"], plain["data"]["result"])
        top = got["data"]["explain"]
        self.assertEqual(top["operator"], "vector and scalar")
        self.assertEqual(top["expr"], "sum by (i) (rate(m[5m])) * 2")
        self.assertEqual(top["series"], 7)
        rate = top["children"][0]["children"][0]
        self.assertEqual((rate["operator"], rate["storedSeries"], rate["storedSamples"], rate["series"]), ("range function", 7, 14, 7))
        self.assertGreater(rate["seconds"], 0)
        plan = query_json(node.api + "/query_range", {"query": ask["query"], "start": now / 1000 - 60, "end": now / 1000, "step": 15,
                                                      "explain": "plan"})
        self.assertEqual(plan["data"]["result"], [])
        self.assertEqual(plan["data"]["explain"]["children"][0]["children"][0]["storedSeries"], 7)
        self.assertNotIn("seconds", plan["data"]["explain"])
        status, _, body = http(node.api + "/query?query=1&explain=why")
        self.assertEqual((status, json.loads(body)["error"]), (400, 'invalid parameter "explain"; explain is plan or analyze'))

    def test_an_operator_ends_a_query_and_the_log_tells_slow_ones(self):
        node = self.node("-frontend.log-queries-longer-than=100ms")
        node.start()
        begin = fill(node)
        page = node.url + "/querier/active_queries"

        def active():
            return json.loads(http(page, headers={"Accept": "application/json"})[2])["data"]

        self.assertEqual(active(), [])
        sent = Sent(node, HEAVY, begin)
        wait_for("the query is listed", lambda: len(active()) == 1)
        row = active()[0]
        self.assertEqual((row["tenant"], row["query"], row["step"]), ("fake", HEAVY, 2))
        self.assertIn(b"quantile_over_time", http(page)[2])
        self.assertEqual(http(page, data=b"id=999999", method="POST")[0], 404)
        time.sleep(0.2)
        start = time.time()
        self.assertEqual(http(page, data=f"id={row['id']}".encode(), method="POST")[0], 200)
        status, body = sent.answer()
        sent.leave()
        self.assertLess(time.time() - start, 2)
        self.assertEqual((status, body["errorType"], body["error"]),
                         (499, "canceled", "query was ended by an operator in expression evaluation"))
        self.assertEqual(active(), [])
        self.assertEqual(node.query("1+1")["data"]["result"][1], "2")
        wait_for("the slow query is logged", lambda: "slow query detected" in node.log())
        line = [l for l in node.log().splitlines() if "slow query detected" in l][0]
        self.assertIn("quantile_over_time", line)
        self.assertRegex(line, r"time_taken_ms=\d+")
        self.assertEqual(node.log().count("slow query detected"), 1)


if __name__ == "__main__":
    unittest.main()
