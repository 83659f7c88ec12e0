#!/usr/bin/env python3
"""check_histograms.py RESULT HGRM HLOG - decodes yodel's files by the definition of the
HdrHistogram format (base64, zlib, ZigZag LEB128) and compares each histogram of the result,
the percentile lines, and the sums of the intervals. Shares no code with
lib/stats/histogram*.c. Other tests import its decoder.
"""
import base64
import json
import math
import struct
import sys
import zlib


def numbers(payload):
    at = 0
    while at < len(payload):
        value = shift = 0
        for i in range(9):
            byte = payload[at]
            at += 1
            if i == 8:
                value |= byte << shift
                break
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield value >> 1 if not value & 1 else -(value >> 1) - 1


def decode(text):
    """[(lowest equivalent, highest equivalent, count)] by value, counts over 0."""
    packed = base64.b64decode(text, validate=True)
    cookie, length = struct.unpack(">Ii", packed[:8])
    assert cookie & ~0xF0 == 0x1C849304 and length == len(packed) - 8
    plain = zlib.decompress(packed[8:])
    cookie, length, offset, digits, lowest, _, ratio = struct.unpack(">IiiiqQd", plain[:40])
    assert cookie & ~0xF0 == 0x1C849303 and length == len(plain) - 40
    assert (offset, digits, lowest, ratio) == (0, 3, 1, 1.0)
    rows, index = [], 0
    for number in numbers(plain[40:]):
        if number < 0:
            index -= number
            continue
        bucket, sub = (index >> 10) - 1, (index & 1023) + 1024
        if bucket < 0:
            bucket, sub = 0, sub - 1024
        low = sub << bucket
        if number:
            rows.append((low, low + (1 << bucket) - 1, number))
        index += 1
    return rows


def percentile(rows, percent):
    total, seen = sum(row[2] for row in rows), 0
    rank = max(1, math.ceil(math.nextafter(percent, 0) / 100 * total))
    for _, high, count in rows:
        seen += count
        if seen >= rank:
            return high


def near(a, b):
    assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6), (a, b)


def main():
    result = json.load(open(sys.argv[1]))
    compared = 0
    for name, latency in result["latency"].items():
        rows = decode(latency["hdr"])
        count = sum(row[2] for row in rows)
        assert count == latency["count"], name
        if count == 0:
            continue
        middles = [((low + high + 1) // 2, n) for low, high, n in rows]
        mean = sum(v * n for v, n in middles) / count
        near(latency["mean_ns"], mean)
        near(
            latency["stddev_ns"],
            math.sqrt(sum((v - mean) ** 2 * n for v, n in middles) / count),
        )
        assert rows[0][0] <= latency["min_ns"] <= rows[0][1]
        assert rows[-1][0] <= latency["max_ns"] <= rows[-1][1]
        percentiles = {"p50": 50, "p90": 90, "p99": 99, "p999": 99.9, "p9999": 99.99}
        for key, percent in percentiles.items():
            found = min(percentile(rows, percent), latency["max_ns"])
            assert latency[key + "_ns"] == found, (name, key, found)
            compared += 1

    response = decode(result["latency"]["response"]["hdr"])
    lines = open(sys.argv[2]).read().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    for line in lines[2:]:
        if line.startswith("#"):
            continue
        value, part, seen, _ = map(float, line.split())
        exact = [high for _, high, _ in response if f"{high / 1e6:.3f}" == f"{value:.3f}"]
        assert exact, line
        assert seen >= part * result["latency"]["response"]["count"] - 1, line
        compared += 1

    sums, ends = {}, {}
    for line in open(sys.argv[3]).read().splitlines():
        if line.startswith(("#", '"')):
            continue
        tag = "response"
        if line.startswith("Tag="):
            tag, line = line[4:].split(",", 1)
        start, length, highest, text = line.split(",")
        rows = decode(text)
        assert abs(float(start) - ends.get(tag, 0)) < 0.002, line[:40]
        ends[tag] = float(start) + float(length)
        assert not rows or rows[-1][0] / 1e6 <= float(highest) + 0.001
        sums[tag] = sums.get(tag, 0) + sum(row[2] for row in rows)
        compared += 1
    for tag in ["response", "service", "send_lag"]:
        assert sums[tag] == result["latency"][tag]["count"], tag
    print(compared, "compared")


if __name__ == "__main__":
    main()
