"""Reads a data folder that no node has open, by docs/format.md and nothing else: Python's standard library, none of our code.

    python3 reader.py FOLDER

Prints a line of JSON for each batch: all groups in order, each log from its base on. Checks every CRC and the chain of
digests, each index file that is whole, that batch 0 of each stream is what its creation in `_meta` determines, and that
each checkpoint of a stream says of producers and fence what the batches before it make of them. The last line on stderr is
a summary. Exits with 1 where something is damaged, with 2 where something is of a newer version.
"""

import hashlib
import json
import os
import struct
import sys
import zlib

BORDER = 4096
ZERO_DIGEST = bytes(32)
RECORDS, CHECKPOINT, FENCE = 0, 1, 6
PRODUCERS_MAX = 10000
FORGET_AFTER_US = 7 * 86400 * 1000000
FRAME, SNAPSHOT, CLEAN = 0, 1, 2
BATCH, MADE, VOTE, LIFE, FLOOR, NOTE, MARK, PLACED, CUT, CUT_DONE, LOG, BASE, GONE, STATE = range(1, 15)


class Damage(Exception):
    """Bytes that must be there are not, or are others."""


class Newer(Exception):
    """Something that this reader does not know."""


def number(data, at, size=8):
    return int.from_bytes(data[at : at + size], "little")


def round_up(value, unit):
    return -(-value // unit) * unit


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


# --- id ---


class Id:
    def __init__(self, data):
        if len(data) < 128 or data[4:8] != b"TRID" or number(data, 0, 4) != zlib.crc32(data[4:128]):
            raise Damage("id is damaged")
        if number(data, 8, 4) != 1:
            raise Newer("id is of version %d" % number(data, 8, 4))
        self.crc_key = number(data, 12, 4)
        self.disk_id = data[16:32]
        self.node_id = data[33 : 33 + data[32]].decode()


# --- batches ---


class Batch:
    def __init__(self, data, at):
        self.header = data[at : at + 128]
        header = self.header
        if header[6] != 1 or header[7] > 7 or header[8] != 0 or header[9] != 0 or number(header, 10, 2) & 0xFF00:
            raise Newer("a batch of version %d, kind %d, codec %d" % (header[6], header[7], header[8]))
        self.kind = header[7]
        self.group = number(header, 16)
        self.index = number(header, 24)
        self.base_offset = number(header, 32)
        self.records = number(header, 40, 4)
        self.offsets = number(header, 44, 4)
        self.term = number(header, 48)
        self.time = number(header, 56)
        self.producer = header[64:80]
        self.sequence = number(header, 80)
        self.epoch = number(header, 88, 4)
        self.digest = header[96:128]
        if self.offsets != self.records:
            raise Newer("batch %d of group %d takes other offsets than its records" % (self.index, self.group))
        self.payload = data[at + 128 : at + 128 + number(header, 12, 4)]

    def producer_line(self):
        return "%s %d %d" % (self.producer.hex(), self.epoch, self.sequence) if any(self.producer) else None

    @property
    def length(self):
        return 128 + len(self.payload)

    def has_digest_after(self, before):
        chained = self.header[4:96] + before + self.payload
        return hashlib.sha256(chained).digest() == self.digest


def batch_at(data, at, group):
    """The batch of `group` that stands at a place, or None."""
    header = data[at : at + 128]
    if len(header) < 128 or header[4:6] != b"TR" or number(header, 0, 4) != zlib.crc32(header[4:]):
        return None
    if number(header, 16) != group:
        return None
    end = at + 128 + number(header, 12, 4)
    if end > len(data) or number(header, 92, 4) != zlib.crc32(data[at + 128 : end]):
        return None
    return Batch(data, at)


class Place:
    """A place between two batches, and what the next one must follow. No digest: not known."""

    def __init__(self, index, offset, term, time, digest):
        self.index, self.offset, self.term, self.time, self.digest = index, offset, term, time, digest

    @staticmethod
    def after(batch):
        return Place(batch.index + 1, batch.base_offset + batch.offsets, batch.term, batch.time, batch.digest)

    def is_followed_by(self, batch):
        return (
            batch.index == self.index
            and batch.base_offset == self.offset
            and batch.term >= self.term
            and batch.time >= self.time
            and batch.has_digest_after(self.digest)
        )


# --- the journal ---


class Frame:
    def __init__(self, data, at):
        self.length = number(data, at + 8, 4)
        self.data = data[at : at + self.length]
        self.kind = self.data[13]
        if self.data[12] != 1 or self.kind > CLEAN:
            raise Newer("a frame of version %d, kind %d" % (self.data[12], self.kind))
        self.files = number(self.data, 14, 2)
        self.number = number(self.data, 16)
        self.freed = number(self.data, 32)
        self.end = at + round_up(self.length, BORDER)

    def records(self):
        """Kind, flags, log number, group and body of each."""
        at, count = 64, 0
        while at < self.length:
            kind, flags, log_number, length, group = struct.unpack_from("<BBHIQ", self.data, at)
            if kind < BATCH or kind > STATE or flags & ~3:
                raise Newer("a record of kind %d, flags %d in frame %d" % (kind, flags, self.number))
            yield kind, flags, log_number, group, self.data[at + 16 : at + length]
            at += length
            count += 1
        if count != number(self.data, 56, 4):
            raise Damage("frame %d has not as many records as it says" % self.number)


def frame_at(data, at, folder_id):
    """The frame that stands at a border, or None."""
    if data[at + 4 : at + 8] != b"TRJF" or data[at + 40 : at + 56] != folder_id.disk_id:
        return None
    end = at + number(data, at + 8, 4)
    if end < at + 64 or end > len(data):
        return None
    if number(data, at, 4) != zlib.crc32(data[at + 4 : end], folder_id.crc_key):
        return None
    return Frame(data, at)


def run_of(data, folder_id):
    """The frames from the start of a file on."""
    frames, at = [], 0
    while True:
        frame = frame_at(data, at, folder_id)
        if frame is None or (frames and frame.number != frames[-1].number + 1):
            return frames
        frames.append(frame)
        at = frame.end


def frames_that_count(folder, folder_id):
    journal = os.path.join(folder, "journal")
    files = {name: read_file(os.path.join(journal, name)) for name in os.listdir(journal) if name.isdigit()}
    runs = {name: run_of(data, folder_id) for name, data in files.items()}
    whole = sorted((run for run in runs.values() if run), key=lambda run: run[-1].number)
    if not whole:
        raise Damage("the journal has no frame")
    newest = whole[-1][-1]
    next_number = newest.freed + 1
    if newest.files > len(files):
        raise Damage("the journal has %d files, and had %d" % (len(files), newest.files))
    frames = []
    for run in whole:
        if run[-1].number <= newest.freed:
            continue
        if run[0].number > next_number or (frames and run[0].number != next_number):
            raise Damage("the journal's frame %d is missing" % next_number)
        if run[0].kind != SNAPSHOT:
            raise Damage("the journal's file with frame %d does not begin with a snapshot" % run[0].number)
        frames += run
        next_number = run[-1].number + 1
    for name, data in files.items():
        for at in range(runs[name][-1].end if runs[name] else 0, len(data), BORDER):
            beyond = frame_at(data, at, folder_id)
            if beyond and beyond.number > newest.number:
                raise Damage("journal/%s has frame %d behind a bad one" % (name, beyond.number))
    return frames


class Mark:
    def __init__(self, body):
        self.segment = number(body, 8)
        self.position = number(body, 16)
        self.place = Place(number(body, 0), number(body, 24), number(body, 40), number(body, 32), body[56:88])


class Group:
    """What the journal says of a group."""

    def __init__(self, log_number, base, mark):
        self.log_number = log_number
        self.base = base
        self.mark = mark
        self.begin_tail(mark.place.index)

    def begin_tail(self, index):
        self.tail_start = index
        self.tail = []

    @property
    def tail_end(self):
        return self.tail_start + len(self.tail)

    def journaled(self, index):
        at = index - self.tail_start
        return self.tail[at] if 0 <= at < len(self.tail) else None

    def add(self, batch):
        if batch.index != self.tail_end:
            return
        if self.tail:
            before = self.tail[-1].digest
        else:
            before = self.mark.place.digest if self.mark.place.index == batch.index else None
        if before is None or batch.has_digest_after(before):
            self.tail.append(batch)

    def cut(self, end):
        if end < self.tail_end:
            del self.tail[max(end - self.tail_start, 0) :]
            self.tail_start = min(self.tail_start, end)

    def take_mark(self, mark):
        self.mark = mark
        end = mark.place.index
        if end >= self.tail_end:
            self.begin_tail(end)
        elif end > self.tail_start:
            del self.tail[: end - self.tail_start]
            self.tail_start = end


def batch_in(body, group):
    batch = batch_at(body, 0, group)
    if batch is None:
        raise Damage("a whole frame has a bad batch of group %d" % group)
    return batch


def take_state(groups, log_number, group, body):
    flags = number(body, 0, 4)
    if flags & ~3:
        raise Newer("a state with flags %d" % flags)
    base, end, mark = number(body, 56), number(body, 160), Mark(body[72:160])
    known = groups.get(group)
    if known is None or known.log_number != log_number:
        groups[group] = Group(log_number, base, mark)
        groups[group].begin_tail(end)
        return
    known.base = base
    known.take_mark(mark)
    if known.tail_end != end:
        known.begin_tail(end)


def replay(frames):
    groups = {}
    for frame in frames:
        named = set()
        for kind, flags, log_number, group, body in frame.records():
            named.add(group)
            if kind == MADE:
                batch = batch_in(body, group)
                beginning = Mark(bytes(24) + struct.pack("<Q", batch.base_offset) + bytes(56))
                groups[group] = Group(log_number, 0, beginning)
                groups[group].add(batch)
                continue
            if kind == STATE:
                take_state(groups, log_number, group, body)
                continue
            known = groups.get(group)
            if known is not None and kind == LOG:
                groups[group] = Group(log_number, number(body, 0), Mark(body[16:104]))
                continue
            if known is None or known.log_number != log_number:
                continue
            if kind == BATCH:
                batch = batch_in(body, group)
                if flags & 1 and batch.index == known.mark.place.index and batch.index < known.tail_start:
                    known.begin_tail(batch.index)
                known.add(batch)
            elif kind == BASE:
                known.base = number(body, 0)
            elif kind == CUT and flags & 2:
                known.mark = Mark(body)
                known.begin_tail(number(body, 0))
            elif kind == MARK:
                known.take_mark(Mark(body))
            elif kind == CUT:
                known.cut(number(body, 0))
            elif kind == GONE:
                del groups[group]
        if frame.kind != FRAME:
            groups = {group: known for group, known in groups.items() if group in named}
    return groups


# --- segments ---


class LogReader:
    """Reads one group's log; `batches` holds what was read when it fails, too."""

    def __init__(self, folder, group, known, summary):
        self.folder = os.path.join(folder, "groups", str(group), str(known.log_number))
        self.group = group
        self.known = known
        self.summary = summary
        self.batches = []
        self.place = None

    def read(self):
        known = self.known
        next_index = known.base
        while True:
            path = os.path.join(self.folder, "%020d.log" % next_index)
            if not os.path.exists(path):
                break
            self.read_segment(path, next_index)
            if self.place is None or self.place.index == next_index:
                break
            next_index = self.place.index
        end = self.place.index if self.place else known.base
        if end < known.mark.place.index:
            raise Damage("group %d ends at %d, below its mark %d" % (self.group, end, known.mark.place.index))
        if known.tail and known.tail_start > end:
            raise Damage("group %d lacks batches %d to %d" % (self.group, end, known.tail_start - 1))
        self.summary["segment_batches"] += len(self.batches)
        for batch in known.tail[end - known.tail_start :] if known.tail else []:
            if not self.take(batch):
                break
            self.summary["tail_batches"] += 1

    def read_segment(self, path, first_index):
        data = read_file(path)
        mark = self.known.mark
        at, begins, controls = 0, [], []
        while True:
            index = self.place.index if self.place else first_index
            if index == mark.place.index and mark.segment == first_index and at != mark.position:
                raise Damage("%s: the mark is not where batch %d is" % (path, index))
            batch = batch_at(data, at, self.group)
            is_next = batch is not None and (batch.kind == CHECKPOINT) == (at == 0)
            if is_next and index >= mark.place.index:
                journaled = self.known.journaled(index)
                is_next = journaled is None or journaled.digest == batch.digest
            if not is_next or not self.take(batch):
                break
            begins.append((batch.base_offset, batch.index, batch.time, at))
            if batch.kind != RECORDS:
                controls.append(batch.index)
            at += batch.length
        if index < mark.place.index and at < len(data):
            raise Damage("%s is bad at %d, below the mark" % (path, at))
        self.check_index(path[:-4] + ".index", first_index, begins, controls)

    def take(self, batch):
        """Adds a batch if it follows; the first of all brings along what it must follow."""
        if self.place is None:
            term, digest = number(batch.payload, 0), batch.payload[8:40]
            if batch.kind != CHECKPOINT or (batch.index == 0 and (term, digest) != (0, ZERO_DIGEST)):
                return False
            self.place = Place(self.known.base, batch.base_offset, term, 0, digest)
            if not self.place.is_followed_by(batch):
                self.place = None
                return False
        elif not self.place.is_followed_by(batch):
            return False
        self.batches.append(batch)
        self.place = Place.after(batch)
        mark = self.known.mark.place
        if self.place.index == mark.index and (self.place.digest, self.place.offset) != (mark.digest, mark.offset):
            raise Damage("group %d has another digest or offset at its mark, %d" % (self.group, mark.index))
        return True

    def check_index(self, path, first_index, begins, controls):
        if not os.path.exists(path):
            return
        data = read_file(path)
        if len(data) < 40 or data[4:8] != b"TRIX" or number(data, 0, 4) != zlib.crc32(data[4:]):
            return
        if number(data, 8, 4) != 2 or (number(data, 16), number(data, 24)) != (self.group, first_index):
            return
        count = number(data, 32)
        if len(data) != 40 + 32 * count + 8 * number(data, 12, 4):
            return
        entries = list(struct.iter_unpack("<QQQQ", data[40 : 40 + 32 * count]))
        if not entries or entries[-1] not in begins:
            return
        expected = []
        for entry in begins:
            if not expected or entry[3] - expected[-1][3] >= 4096:
                expected.append(entry)
        if entries != expected[: len(entries)]:
            raise Damage("%s has entries that are none" % path)
        last = entries[-1][1]
        told = [control for (control,) in struct.iter_unpack("<Q", data[40 + 32 * count :]) if control < last]
        if told != [control for control in controls if control < last]:
            raise Damage("%s tells of other control batches than there are" % path)
        self.summary["index_entries"] += len(entries)


# --- _meta ---


def fields(message):
    """Number and value of each field of a protobuf message."""

    def varint(at):
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            shift += 7
            at += 1
            if message[at - 1] < 0x80:
                return value, at

    at = 0
    while at < len(message):
        tag, at = varint(at)
        if tag & 7 == 0:
            value, at = varint(at)
        elif tag & 7 == 2:
            length, at = varint(at)
            value, at = message[at : at + length], at + length
        else:
            raise Damage("a protobuf message has a field of type %d" % (tag & 7))
        yield tag >> 3, value


def check_creations(meta, logs, summary):
    """Each stream's batch 0 is what its creation record determines, byte for byte."""
    for batch in meta:
        if batch.kind != RECORDS:
            continue
        record = dict(fields(batch.payload))[1]
        created = dict(fields(dict(fields(record))[3])).get(1)
        # A log that was trimmed begins with a later checkpoint.
        if created is None or not logs.get(batch.index) or logs[batch.index][0].index > 0:
            continue
        said = dict(fields(created))
        payload = said[3]
        header = bytearray(128)
        struct.pack_into("<2sBB", header, 4, b"TR", 1, CHECKPOINT)
        struct.pack_into("<IQQQ", header, 12, len(payload), batch.index, 0, said.get(2, 0))
        struct.pack_into("<Q", header, 56, batch.time)
        struct.pack_into("<I", header, 92, zlib.crc32(payload))
        header[96:128] = hashlib.sha256(bytes(header[4:]) + payload).digest()
        struct.pack_into("<I", header, 0, zlib.crc32(header[4:]))
        first = logs[batch.index][0]
        if (first.header, first.payload) != (bytes(header), payload):
            raise Damage("batch 0 of group %d is not what its creation says" % batch.index)
        summary["creations"] += 1


def told_by(checkpoint):
    """Producers, by id, and the fence of a checkpoint."""
    producers, fence = {}, b""
    for field, value in fields(checkpoint.payload[40:]):
        if field == 6:
            said = dict(fields(value))
            producers[said[1]] = tuple(said.get(field, 0) for field in range(2, 8)) + (said[8],)
        elif field == 7:
            fence = value
    return producers, fence


def newest(producers):
    """The most recently used ones, by the index of their last batch."""
    kept = sorted(producers.items(), key=lambda entry: entry[1][2])[-PRODUCERS_MAX:]
    return dict(kept)


def check_checkpoints(batches, summary):
    """Each checkpoint's producers and fence are what those of the one before and the batches since make of them."""
    producers, fence, before = {}, b"", None
    for batch in batches:
        if batch.kind == CHECKPOINT:
            told = told_by(batch)
            if before is not None:
                since = before.time - FORGET_AFTER_US
                recent = {producer: last for producer, last in producers.items() if last[5] >= since}
                if told != (newest(recent), fence):
                    wrong = "checkpoint %d of group %d tells of other producers or another fence"
                    raise Damage(wrong % (batch.index, batch.group))
            producers, fence = told
            summary["producers"] += len(producers)
        elif batch.kind == FENCE:
            fence = dict(fields(batch.payload)).get(1, b"")
            summary["fences"] += 1
        elif any(batch.producer):
            last = (batch.epoch, batch.sequence, batch.index, batch.base_offset, batch.records, batch.time, batch.digest)
            producers[batch.producer] = last
            if len(producers) >= 2 * PRODUCERS_MAX:
                producers = newest(producers)
        before = batch


def main(folder):
    summary = {"frames": 0, "clean": False, "groups": 0, "segment_batches": 0, "tail_batches": 0, "index_entries": 0}
    summary.update(creations=0, producers=0, fences=0)
    status = 0
    try:
        folder_id = Id(read_file(os.path.join(folder, "id")))
        frames = frames_that_count(folder, folder_id)
        summary["frames"] = len(frames)
        summary["clean"] = frames[-1].kind == CLEAN
        groups = replay(frames)
        summary["groups"] = len(groups)
        logs = {}
        for group in sorted(groups):
            log = LogReader(folder, group, groups[group], summary)
            try:
                log.read()
            except Damage as damage:
                print(damage, file=sys.stderr)
                status = 1
            logs[group] = log.batches
            for batch in log.batches:
                line = {"group": group, "index": batch.index, "kind": batch.kind, "base_offset": batch.base_offset}
                line.update(records=batch.records, term=batch.term, time=batch.time, digest=batch.digest.hex())
                line["producer"] = batch.producer_line()
                line["payload_sha256"] = hashlib.sha256(batch.payload).hexdigest()
                print(json.dumps(line))
        check_creations(logs.get(0, []), logs, summary)
        # Without `_meta` nobody knows whose logs these are.
        for batches in logs.values() if 0 in logs else []:
            check_checkpoints(batches, summary)
    except Damage as damage:
        print(damage, file=sys.stderr)
        status = 1
    except Newer as newer:
        print("%s: written by a newer version" % newer, file=sys.stderr)
        status = 2
    print(json.dumps(summary), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
