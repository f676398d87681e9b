"""Languages by their codes, in English: those that the identifiers of languages know.

Two letters are of ISO 639-1 and three of ISO 639-3, but for a few that have kept the codes of their
Wikipedias (`als`, `bh`, `eml`, `nah`).
"""

from functools import cache

_NAMES = """
ace Acehnese, af Afrikaans, als Alemannic, am Amharic, an Aragonese, ar Arabic,
ary Moroccan Arabic, arz Egyptian Arabic, as Assamese, ast Asturian, av Avar, az Azerbaijani,
azb South Azerbaijani, ba Bashkir, bar Bavarian, bcl Central Bikol, be Belarusian, bg Bulgarian,
bh Bihari, bn Bengali, bo Tibetan, bpy Bishnupriya, br Breton, bs Bosnian, bxr Buryat, ca Catalan,
cbk Chavacano, ce Chechen, ceb Cebuano, ckb Central Kurdish, co Corsican, crh Crimean Tatar,
cs Czech, cv Chuvash, cy Welsh, da Danish, de German, diq Zazaki, dsb Lower Sorbian, dty Doteli,
dv Divehi, dz Dzongkha, el Greek, eml Emilian and Romagnol, en English, eo Esperanto, es Spanish,
et Estonian, eu Basque, ext Extremaduran, fa Persian, fi Finnish, fo Faroese, fr French,
frr North Frisian, fuv Nigerian Fulfulde, fy West Frisian, ga Irish, gcf Guadeloupean Creole,
gcr Guianese Creole, gd Scottish Gaelic, gl Galician, gn Guarani, gom Goan Konkani,
grc Ancient Greek, gu Gujarati, gug Paraguayan Guarani, guw Gun, gv Manx, ha Hausa,
hbo Biblical Hebrew, he Hebrew, hi Hindi, hif Fiji Hindi, hr Croatian, hsb Upper Sorbian,
ht Haitian Creole, hu Hungarian, hy Armenian, ia Interlingua, id Indonesian, ie Interlingue,
ig Igbo, ilo Ilocano, io Ido, is Icelandic, it Italian, ja Japanese, jbo Lojban, jv Javanese,
ka Georgian, kab Kabyle, kik Kikuyu, kk Kazakh, km Khmer, kn Kannada, ko Korean,
krc Karachay-Balkar, ku Kurdish, kv Komi, kw Cornish, ky Kyrgyz, la Latin, lb Luxembourgish,
lez Lezgian, lg Ganda, li Limburgish, lij Ligurian, lmo Lombard, ln Lingala, lo Lao,
lrc Northern Luri, lt Lithuanian, ltg Latgalian, lv Latvian, mai Maithili, mg Malagasy,
mhr Meadow Mari, min Minangkabau, mk Macedonian, ml Malayalam, mn Mongolian, mr Marathi,
mrj Hill Mari, ms Malay, mt Maltese, mwl Mirandese, my Burmese, myv Erzya, mzn Mazanderani,
nah Nahuatl, nap Neapolitan, nds Low German, ne Nepali, new Newari, nl Dutch,
nn Norwegian Nynorsk, no Norwegian, nso Northern Sotho, oc Occitan, om Oromo, or Odia, os Ossetian,
pa Punjabi, pam Pampanga, pcm Nigerian Pidgin, pfl Palatine German, pl Polish, pms Piedmontese,
pnb Western Punjabi, ps Pashto, pt Portuguese, qu Quechua, rm Romansh, ro Romanian, ru Russian,
rue Rusyn, rw Kinyarwanda, sa Sanskrit, sah Yakut, sc Sardinian, scn Sicilian, sco Scots,
sd Sindhi, sdh Southern Kurdish, se Northern Sami, sh Serbo-Croatian, si Sinhala, sk Slovak,
sl Slovenian, sn Shona, so Somali, sq Albanian, sr Serbian, st Southern Sotho, su Sundanese,
sv Swedish, sw Swahili, ta Tamil, te Telugu, tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish,
tt Tatar, tyv Tuvan, ug Uyghur, uk Ukrainian, ur Urdu, uz Uzbek, uzs Southern Uzbek, vec Venetian,
vep Veps, vi Vietnamese, vls West Flemish, vo Volapük, wa Walloon, war Waray, wuu Wu Chinese,
xal Kalmyk, xh Xhosa, xmf Mingrelian, yi Yiddish, yo Yoruba, yue Cantonese, zh Chinese, zu Zulu,
zxx no language
"""


def language_name(code: str) -> str:
    """`de` is German; a code that is not known is its own name."""
    return _of_code().get(code, code)


@cache
def _of_code() -> dict[str, str]:
    entries = " ".join(_NAMES.split()).split(", ")
    return {code: name for code, _, name in (entry.partition(" ") for entry in entries)}
