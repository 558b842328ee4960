"""The words the example model learns, in Azerbaijani and in English, and what goes with what."""

AZ_ONES = ["", "bir", "iki", "üç", "dörd", "beş", "altı", "yeddi", "səkkiz", "doqquz"]
AZ_TENS = ["", "on", "iyirmi", "otuz", "qırx", "əlli", "altmış", "yetmiş", "səksən", "doxsan"]
AZ_ORDINALS = ["birinci", "ikinci", "üçüncü", "dördüncü", "beşinci"]
AZ_PEOPLE = "ana ata nənə baba bacı qardaş əmi xala müəllim şagird həkim bağban çoban balıqçı dülgər qonşu".split()
AZ_PLACES = "məktəb kitabxana bağ bazar kənd şəhər həyət mətbəx meşə tarla".split()
AZ_GOODS = "alma armud nar kitab dəftər qələm yumurta top gül balıq çörək stəkan".split()
AZ_THINGS = "kitab açar fincan saat çanta qələm top papaq".split()
AZ_FURNITURE = "masa stul çarpayı şkaf pəncərə qapı".split()
AZ_SIDES = "üstündə altında yanında arxasında".split()
AZ_SIZES = "qarışqa siçan pişik it qoyun inək fil".split()
AZ_DAYS = ["bazar ertəsi", "çərşənbə axşamı", "çərşənbə", "cümə axşamı", "cümə", "şənbə", "bazar"]
AZ_WORK = [
    "bağda ağac əkir",
    "mətbəxdə çörək bişirir",
    "evdə kitab oxuyur",
    "həyətdə odun yığır",
    "çayda balıq tutur",
    "tarlada buğda biçir",
    "kitabxanada məktub yazır",
    "bazarda meyvə satır",
]
AZ_WEATHER = {
    "soyuq": ["qalın palto geyinir", "evdə isti çay içir", "sobanın yanında oturur"],
    "isti": ["kölgədə oturur", "sərin su içir", "çayda üzür"],
    "yağışlı": ["çətir götürür", "evdə oturur", "pəncərədən baxır"],
    "küləkli": ["uçurtma uçurur", "qapını bağlayır"],
    "qarlı": ["qartopu oynayır", "qardan adam düzəldir"],
    "günəşli": ["həyətdə oynayır", "parkda gəzir", "bağda işləyir"],
}
AZ_SEASONS = {
    "qış": (["dekabr", "yanvar", "fevral"], "hava soyuq olur və qar yağır"),
    "yaz": (["mart", "aprel", "may"], "ağaclar çiçək açır və quşlar qayıdır"),
    "yay": (["iyun", "iyul", "avqust"], "hava isti olur və meyvələr yetişir"),
    "payız": (["sentyabr", "oktyabr", "noyabr"], "yarpaqlar saralır və dərslər başlayır"),
}
AZ_ANIMALS = {
    "inək": ("ot", "tövlə", "süd verir"),
    "at": ("arpa", "tövlə", "yük daşıyır"),
    "toyuq": ("dən", "hin", "yumurta verir"),
    "qoyun": ("ot", "ağıl", "yun verir"),
    "it": ("sümük", "həyət", "evi qoruyur"),
    "pişik": ("balıq", "ev", "siçan tutur"),
    "ayı": ("bal", "meşə", "qışda yatır"),
    "dovşan": ("kök", "yuva", "sürətlə qaçır"),
    "quş": ("dən", "yuva", "göydə uçur"),
    "tülkü": ("ət", "meşə", "gecə ova çıxır"),
}
AZ_LESSONS = {
    "riyaziyyat": "məsələ həll edir",
    "tarix": "keçmişi öyrənir",
    "coğrafiya": "xəritəyə baxır",
    "ədəbiyyat": "şeir oxuyur",
    "musiqi": "mahnı oxuyur",
    "rəsm": "şəkil çəkir",
    "biologiya": "bitkiləri öyrənir",
}

EN_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
EN_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
EN_PEOPLE = "mother father grandmother grandfather sister brother teacher pupil doctor gardener shepherd".split()
EN_PLACES = "school library garden market village city forest field river".split()
EN_GOODS = "apple pear book pencil egg ball flower stone cup ribbon".split()
EN_SIZES = "ant mouse cat dog sheep cow elephant".split()
EN_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
EN_WORK = [
    "plants a tree",
    "bakes the bread",
    "reads an old book",
    "writes a long letter",
    "washes the dishes",
    "mends the fence",
]
EN_WEATHER = {
    "cold": ["wear thick coats", "drink hot tea", "sit by the stove"],
    "hot": ["sit in the shade", "drink cool water", "swim in the river"],
    "rainy": ["take their umbrellas", "stay at home"],
    "windy": ["fly their kites", "close the doors"],
    "snowy": ["build a snowman", "throw snowballs"],
    "sunny": ["play in the yard", "walk in the park"],
}
EN_ANIMALS = {
    "cow": ("grass", "barn", "gives milk"),
    "horse": ("hay", "stable", "carries loads"),
    "hen": ("grain", "coop", "lays eggs"),
    "sheep": ("grass", "fold", "gives wool"),
    "dog": ("bones", "yard", "guards the house"),
    "cat": ("fish", "house", "catches mice"),
    "bear": ("honey", "forest", "sleeps in winter"),
    "hare": ("carrots", "burrow", "runs fast"),
    "bird": ("seeds", "nest", "flies in the sky"),
}
EN_COLOURS = "red green blue yellow white black brown".split()
