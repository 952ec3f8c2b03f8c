"""Small lists of words, from general knowledge: hints for the tagger, and what there is to go by without one.

Whoever wrote them had seen a few of SLURP's entities of each type (not its errors): scores there flatter the lists a little.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mpc.privacy.masking.text.spans import Span

_FIRST_NAMES = """
aaron abby adam ahmed aisha alan albert alex alexander alice alicia allen allison amanda amber amy ana andrea andrew angela
anita ann anna anne anthony antonio april arthur ashley austin barbara ben benjamin beth betty bill billy bob bobby brad
brandon brenda brian bruce bryan carl carlos carol caroline catherine cathy charles charlie charlotte chelsea chloe chris
christina christine christopher cindy claire clara craig cynthia dan daniel danny dave david deborah debbie dennis derek
diana diane donald donna doris dorothy doug douglas dylan edward elena eli elizabeth ella ellen emily emma eric erica erin
ethan eva evan evelyn fatima frank fred gabriel gary george gerald gina gloria grace greg gregory hannah harold harry
heather helen henry ian irene isaac isabella jack jackie jacob jake james jamie jan jane janet janice jason jean jeff
jeffrey jen jenna jennifer jenny jeremy jerry jesse jessica jill jim jimmy joan joanna joe joel john johnny jon jonathan
jordan jose joseph josh joshua juan judith judy julia julie justin karen kate katherine kathleen kathy katie keith kelly ken
kenneth kevin kim kyle larry laura lauren lee leo leon leslie lily linda lisa liz logan lori louis louise lucas lucy luis
luke lynn marcus margaret maria marie mario mark martha martin mary matt matthew max megan melissa mia michael michelle
miguel mike mohamed mohammed molly monica nancy natalie nathan neil nicholas nick nicole nina noah nora olivia oscar pam
pamela patricia patrick paul paula pedro peggy peter phil philip phillip priya rachel rahul raj ralph ramesh randy ravi ray
raymond rebecca richard rick rita rob robert robin roger ron ronald rosa rose roy russell ruth ryan sally sam samantha
samuel sandra sara sarah scott sean shannon sharon shirley simon sofia sophia sophie stacy stephanie stephen steve steven
sue susan suresh suzanne sylvia tara ted teresa terry theresa thomas tim timothy tina todd tom tommy tony tracy trevor tyler
vanessa veronica vicky victor victoria vincent virginia wayne wendy will william zach zoe
"""
_SURNAMES = """
adams allen anderson baker brown campbell carter clark collins cooper cruise davis edwards evans fields garcia gomez
gonzalez green hall harris hernandez hill jackson johnson jones khan king kumar lewis lopez martinez miller mitchell moore
morgan morris murphy nelson nguyen obama parker patel perez phillips rivera roberts robinson rodriguez sanchez sharma shah
singh smith stewart taylor thomas thompson torres trump turner walker white williams wilson wright young
"""
_RELATIONS = """
mom mum mother mommy dad daddy father parents parent brother sister brothers sisters sibling siblings son daughter kids
children wife husband spouse partner fiance fiancee girlfriend boyfriend friend friends uncle aunt cousin cousins nephew
niece grandma grandpa grandmother grandfather grandparents granny family relatives colleague colleagues coworker coworkers
boss manager supervisor neighbor neighbour roommate in-laws secretary assistant teammates
"""
_COUNTRIES = """
afghanistan,algeria,argentina,australia,austria,bangladesh,belgium,brazil,britain,bulgaria,cambodia,canada,chile,china,
colombia,croatia,cuba,denmark,ecuador,egypt,england,ethiopia,finland,france,germany,ghana,greece,haiti,hungary,iceland,
india,indonesia,iran,iraq,ireland,israel,italy,jamaica,japan,jordan,kenya,kuwait,lebanon,malaysia,mexico,morocco,nepal,
netherlands,new zealand,nigeria,north korea,norway,pakistan,peru,philippines,poland,portugal,romania,russia,saudi arabia,
scotland,serbia,singapore,somalia,south africa,south korea,spain,sri lanka,sudan,sweden,switzerland,syria,taiwan,tanzania,
thailand,tunisia,turkey,uganda,ukraine,united kingdom,united states,united states of america,uruguay,usa,venezuela,vietnam,
wales,yemen,zambia,zimbabwe,europe,asia,africa,america,us,uk,u s,u k
"""
_CITIES = """
amsterdam,athens,atlanta,austin,baltimore,bangalore,bangkok,barcelona,beijing,berlin,birmingham,boston,brussels,budapest,
buffalo,cairo,charlotte,chennai,chicago,cincinnati,cleveland,columbus,copenhagen,dallas,delhi,denver,detroit,dubai,dublin,
edinburgh,florence,frankfurt,geneva,glasgow,hamburg,helsinki,hong kong,honolulu,houston,hyderabad,indianapolis,istanbul,
jerusalem,johannesburg,kansas city,karachi,kiev,kolkata,lagos,las vegas,leeds,lima,lisbon,liverpool,london,los angeles,
madrid,manchester,manila,melbourne,memphis,mexico city,miami,milan,milwaukee,minneapolis,montreal,moscow,mumbai,munich,
nashville,new delhi,new orleans,new york,new york city,nyc,oakland,oslo,ottawa,oxford,paris,philadelphia,phoenix,
pittsburgh,portland,prague,raleigh,rio de janeiro,rome,sacramento,salt lake city,san antonio,san diego,san francisco,
san jose,santa fe,seattle,seoul,shanghai,stockholm,sydney,tampa,tehran,tel aviv,tokyo,toronto,tucson,vancouver,venice,
vienna,warsaw,washington,washington dc,zurich
"""
_STATES = """
alabama,alaska,arizona,arkansas,california,colorado,connecticut,delaware,florida,georgia,hawaii,idaho,illinois,indiana,
iowa,kansas,kentucky,louisiana,maine,maryland,massachusetts,michigan,minnesota,mississippi,missouri,montana,nebraska,
nevada,new hampshire,new jersey,new mexico,north carolina,north dakota,ohio,oklahoma,oregon,pennsylvania,rhode island,
south carolina,south dakota,tennessee,texas,utah,vermont,west virginia,wisconsin,wyoming,ontario,quebec,kerala,punjab
"""
_BUSINESSES = """
amazon,apple,applebee's,best buy,boeing,burger king,chipotle,coca cola,costco,disney,domino's,dominos,ebay,exxon,facebook,
fedex,ford,general motors,google,home depot,honda,ibm,ikea,intel,kfc,kroger,macy's,mcdonald's,mcdonalds,microsoft,netflix,
nike,nintendo,olive garden,panera,papa john's,pepsi,pizza hut,red lobster,samsung,sony,starbucks,subway,taco bell,target,
tesla,toyota,united airlines,ups,verizon,walgreens,walmart,wells fargo,wendy's,whole foods
"""


def _listed(text: str) -> frozenset[str]:
    return frozenset(entry.strip() for entry in text.replace("\n", "").split(","))


LISTS: Final = {
    "first_name": frozenset(_FIRST_NAMES.split()),
    "surname": frozenset(_SURNAMES.split()),
    "relation": frozenset(_RELATIONS.split()),
    "place_name": _listed(_COUNTRIES) | _listed(_CITIES) | _listed(_STATES),
    "business_name": _listed(_BUSINESSES),
}
TYPES: Final = {"first_name": "person", "surname": "person"}  # of which entity a list's words are; otherwise its own name
LONGEST: Final = 4  # words


def hits(words: list[str]) -> list[set[str]]:
    """For each word, the lists in which it stands, alone or as part of a longer entry."""
    out: list[set[str]] = [set() for _ in words]
    for name, first, last in _entries(words):
        for i in range(first, last):
            out[i].add(name)
    return out


def find(words: list[tuple[int, int]], text: str) -> Iterator[Span]:
    """Spans by the lists alone, longer entries first; a first name takes the surname after it along, alone a surname counts
    not."""
    lower = [text[a:b].lower() for a, b in words]
    found = sorted(_entries(lower), key=lambda entry: entry[1] - entry[2])
    for name, first, last in found:
        if name != "surname":
            more = int(name == "first_name" and last < len(lower) and lower[last] in LISTS["surname"])
            yield Span(words[first][0], words[last + more - 1][1], TYPES.get(name, name))


def _entries(words: list[str]) -> Iterator[tuple[str, int, int]]:
    for first in range(len(words)):
        for last in range(first + 1, min(len(words), first + LONGEST) + 1):
            phrase = " ".join(words[first:last]).replace(" '", "'")
            for name, entries in LISTS.items():
                if phrase in entries:
                    yield name, first, last
