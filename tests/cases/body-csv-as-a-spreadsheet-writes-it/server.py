"""CSV of a spreadsheet: semicolons, decimal commas, Windows-1252, empty cells, a line break in a cell."""

from cases.server import Answer, Ask

BODY = 'id;price;name;sold\r\n1;"1.234,50";"Zürich €";ja\r\n2;;"two\r\nlines";nein\r\n\r\n'


def answer(ask: Ask) -> Answer:
    return Answer(BODY.encode("cp1252"), headers={"Content-Type": "text/csv; charset=ISO-8859-1"})
