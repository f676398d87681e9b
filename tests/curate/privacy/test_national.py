"""Numbers of persons: well-known examples, and some made here to the published rule.

What python-stdnum 2.2 took for valid among random numbers, these detectors took, too (27 kinds).
"""

import pytest
from tests.curate.privacy.conftest import Find

WITH_A_WORD = [
    ("au_tfn", "Tax file number: {}", "123 456 782", "123 456 783"),
    ("be_national_number", "rijksregisternummer {}", "93.05.18-223.61", "93.05.18-223.62"),
    ("be_national_number", "NISS: {}", "17073003384", "17073003385"),  # born since 2000
    ("be_national_number", "NISS: {}", "53.11.58-427.90", "53.13.58-427.90"),  # no known day
    ("br_cpf", "CPF {}", "39053344705", "39053344704"),
    ("br_cnpj", "CNPJ {}", "11222333000181", "11222333000182"),
    ("ca_sin", "Social Insurance Number {}", "130-692-544", "130-692-545"),
    ("de_identity_card", "Personalausweis {}", "T220001293", "T220001294"),
    ("de_identity_card", "Ausweisnummer: {}", "L01X00T47", "A01X00T47"),
    ("de_tax_id", "Steuer-ID: {}", "86 095 742 719", "86 095 742 718"),
    ("de_tax_id", "Steueridentifikationsnummer {}", "65929970489", "65929970480"),
    ("dk_cpr", "CPR-nummer {}", "211062-5629", "211362-5629"),
    ("es_dni", "DNI: {}", "12345678Z", "12345678A"),
    ("es_dni", "D.N.I. / NIF {}", "12.345.678-Z", "12.345.678-A"),
    ("es_nie", "NIE: {}", "X-2482300-W", "X-2482300-A"),
    ("es_nie", "su NIE es {}", "X2482300W", "X2482300A"),
    ("fi_hetu", "henkilötunnus {}", "131052-308T", "131052-308U"),
    ("fi_hetu", "hetu: {}", "010594Y9032", "013294Y9032"),
    ("fr_nir", "Sécurité sociale : {}", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
    ("in_aadhaar", "Aadhaar: {}", "9999 4105 7058", "9999 4105 7059"),
    ("in_pan", "PAN {}", "AAAPZ1234C", "AAAXZ1234C"),
    ("jp_my_number", "マイナンバーは{}です", "123456789018", "123456789019"),
    ("kr_rrn", "주민등록번호: {}", "900101-1234568", "901301-1234568"),
    ("nl_bsn", "BSN {}", "111222333", "111222334"),
    ("no_birth_number", "fødselsnummer {}", "010190 00083", "010190 00084"),
    ("pl_pesel", "PESEL: {}", "44051401359", "44051401358"),
    ("se_personnummer", "personnummer {}", "640823-3234", "640823-3235"),
    ("se_personnummer", "Personnr. {}", "19640823-3234", "19641323-3234"),
    ("sg_nric", "NRIC {}", "S0000001I", "S0000001A"),
    ("tr_identity_number", "T.C. kimlik no: {}", "10000000146", "10000000147"),
    ("uk_nhs", "NHS number {}", "943 476 5919", "943 476 5918"),
    ("uk_nino", "National Insurance: {}", "AB 12 34 56 C", "GB 12 34 56 C"),
    ("us_itin", "ITIN {}", "912-70-1234", "912-49-1234"),
    ("us_ssn", "His social security number is {}.", "219-09-9999", "666-09-9999"),
    ("us_ssn", "SSN: {}", "219099999", "219009999"),
    ("za_id", "ID number {}", "8001015009087", "8001015009088"),
]
ALONE = [
    ("br_cpf", "{}", "390.533.447-05", "390.533.447-04"),
    ("br_cnpj", "{}", "11.222.333/0001-81", "11.222.333/0001-82"),
    ("br_cnpj", "{}", "12.ABC.345/01DE-35", "12.ABC.345/01DE-36"),  # as issued since 2026
    ("ch_ahv", "{}", "756.9217.0769.85", "756.9217.0769.86"),
    ("cn_resident_id", "号码是{}。", "11010519491231002X", "110105194912310021"),
    ("it_codice_fiscale", "{}", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    ("it_codice_fiscale", "{}", "MRTMTT25D09F205Z", "MRTMTT25X09F205Z"),
    ("mx_curp", "{}", "HEGG560427MVZRRL04", "HEGG560427MVZRRL05"),
]


@pytest.mark.parametrize(("kind", "sentence", "valid", "invalid"), [*WITH_A_WORD, *ALONE])
def test_numbers_are_found_and_wrong_ones_are_not(
    find: Find, kind: str, sentence: str, valid: str, invalid: str
) -> None:
    assert find(sentence.format(valid)) == [(kind, valid)]
    assert kind not in dict(find(sentence.format(invalid)))


@pytest.mark.parametrize("valid", [valid for _, _, valid, _ in WITH_A_WORD])
def test_what_any_table_holds_needs_a_word(find: Find, valid: str) -> None:
    assert not find(f"The total was {valid} then.")


@pytest.mark.parametrize(
    ("number", "repeats_one"), [("2235678901", True), ("2223567890", True), ("1234567890", False)]
)
def test_a_tax_number_repeats_one_digit(find: Find, number: str, repeats_one: bool) -> None:
    found = [find(f"Steuer-ID {number}{digit}") for digit in range(10)]
    assert len([one for one in found if ("de_tax_id") in dict(one)]) == repeats_one
