"""Cards and accounts: the networks' test numbers and the examples of the registry of IBANs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.privacy.conftest import Find

CARDS = """4111111111111111 4242424242424242 4012888888881881 5555555555554444 5105105105105100
2223003122003222 378282246310005 371449635398431 6011111111111117 6011000990139424 30569309025904
38520000023237 36227206271667 3530111333300000 3566002020360505 6200000000000005"""
IBANS = """AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741
AT611904300234573201 AZ21NABZ00000000137010001944 BA391290079401028494 BE68539007547034
BG80BNBG96611020345678 BH67BMAG00001299123456 BR9700360305000010009795493P1
CH9300762011623852957 CR05015202001026284066
CY17002001280000001200527600 CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243
DO28BAGR00000001212453611324 EE382200221020145685 ES9121000418450200051332 FI2112345600000785
FO6264600001631634 FR1420041010050500013M02606 GB29NWBK60161331926819 GE29NB0000000101904917
GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695
GT82TRAJ01020000001210029690 HR1210010051863000160 HU42117730161111101800000000
IE29AIBK93115212345678 IL620108000000099999999 IS140159260076545510730339
IT60X0542811101000000123456 JO94CBJO0010000000000131000302 KW81CBKU0000000000001234560101
KZ86125KZT5004100100 LB62099900000001001901229114 LI21088100002324013AA LT121000011101001000
LU280019400644750000 LV80BANK0000435195001 MC5811222000010123456789030 MD24AG000225100013104168
ME25505000012345678951 MK07250120000058984 MR1300020001010000123456753
MT84MALT011000012345MTLCAST001S MU17BOMM0101101030300200000MUR NL91ABNA0417164300
NO9386011117947 PK36SCBL0000001123456702 PL61109010140000071219812874
PT50000201231234567890154 QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000
RS35260005601001611379 SA0380000000608010167519 SE4550000000058398257466 SI56191000000123438
SK3112000000198742637541 SM86U0322509800000000270100 TN5910006035183598478831
TR330006100519786457841326 UA213223130000026007233566001 VG96VPVG0000012345678901
XK051212012345678906"""


def in_fours(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


@pytest.mark.parametrize("number", CARDS.split())
def test_test_cards_are_found_wherever_they_stand(find: Find, number: str) -> None:
    assert find(f"It was {number}.") == [("card", number)]


@pytest.mark.parametrize(
    "number",
    ["4242 4242 4242 4242", "4242-4242-4242-4242", "3782 822463 10005", "3056 930902 5904"],
)
def test_cards_are_found_in_the_groups_on_them(find: Find, number: str) -> None:
    assert find(f"({number})") == [("card", number)]


@pytest.mark.parametrize("number", ["4222222222222", "6205500000000000004", "6759649826438453"])
def test_rare_lengths_and_issuers_need_a_word(find: Find, number: str) -> None:
    assert find(f"my credit card {number}") == [("card", number)]
    assert not find(f"it was {number}")


@pytest.mark.parametrize(
    "number",
    [
        "4242424242424243",  # the check digit
        "1242424242424240",  # no issuer's, though the digit is right
        "424242424242424",  # too short
        "0.4242424242424242",
        "14242424242424242424",
        "x4242424242424242",
        "4242424242424242-7",
    ],
)
def test_what_only_looks_like_a_card_is_left(find: Find, number: str) -> None:
    assert not find(f"n = {number}")


@pytest.mark.parametrize("number", IBANS.split())
def test_the_registry_s_examples_are_found(find: Find, number: str) -> None:
    assert find(f"to {number}, please") == [("iban", number)]
    spaced = in_fours(number)
    assert find(f"to {spaced} before May") == [("iban", spaced)]
    assert find(f"to {number.lower()} before may") == [("iban", number.lower())]


@pytest.mark.parametrize(
    "number",
    [
        "DE89370400440532013001",
        "GB29NWBK6016133192681",  # too short
        "ZZ89370400440532013000",  # no country
        "xDE89370400440532013000",
    ],
)
def test_other_accounts_are_left(find: Find, number: str) -> None:
    assert not find(number)


@given(number=st.sampled_from(IBANS.split()), data=st.data())
def test_an_account_with_a_wrong_digit_is_left(
    find: Find, number: str, data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([i for i, c in enumerate(number) if c.isdigit()]))
    digit = data.draw(st.sampled_from([c for c in "0123456789" if c != number[place]]))
    wrong = number[:place] + digit + number[place + 1 :]
    assert ("iban", wrong) not in find(wrong)
