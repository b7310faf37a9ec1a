"""XML read from a mark on, by page numbers with a total, in two runs."""

from cases.server import Answer, Ask, rows


def answer(ask: Ask) -> Answer:
    there = [
        row for row in rows(3 if ask.run == 1 else 5) if row["updated_at"] >= ask.query["since"]
    ]
    at = 2 * int(ask.query["page"]) - 2
    items = "".join(
        f"<item><id>{row['id']}</id><updated_at>{row['updated_at']}</updated_at></item>"
        for row in there[at : at + 2]
    )
    return Answer(f'<r total="{len(there)}">{items}</r>'.encode())
